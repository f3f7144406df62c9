/** A value that networks see is (byte / 255 - mean) / std of its channel: red, green, blue. Those of ImageNet. */
export const NORMALISATION = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
} as const;
