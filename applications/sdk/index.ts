export { defineApplication } from './application.js';
export type { Application, ApplicationAnswer, ApplicationContext } from './application.js';
export { DataCenter } from './data-center.js';
export type { FinishedRun, RunOptions } from './data-center.js';
export { alongside, join, map, onFailure, parallel } from './flow/branches.js';
export type { MapOptions } from './flow/branches.js';
export { repeat, sequence, step, withLimits } from './flow/flow.js';
export type { Flow, StepLimits } from './flow/flow.js';
export type {
  All,
  Anything,
  Bytes,
  Double,
  Failed,
  Integer,
  Json,
  List,
  Named,
  None,
  ResultOf,
  Tensor,
  Text,
} from './kinds.js';
export { PlanReady } from './plan/plan.js';
export type { Plan } from './plan/plan.js';
export { file, integer, optional, text } from './options.js';
export { applicationNode, cnn, math, storage } from './steps.js';
export type { Blend, Explanation, FileName, PictureFacts, Prediction, Written } from './steps.js';
export { numbersOf, tensorOf } from '../../protos/tensors.js';
export type { Tensor as TensorData } from '../../protos/gen/fractory/v1/value.js';
