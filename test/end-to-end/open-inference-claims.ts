import { hearPython, whyNoPython } from '../controllers/cnn/open-inference/python-client.js';
import { assert } from '../suite.js';
import { base64 } from './wire.js';
import type { Claims } from './wire.js';

const timeoutMs = 60_000;

interface Inferred {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id?: string;
  readonly outputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly string[];
    readonly contents?: { readonly fp32Contents: readonly number[] };
  }[];
  readonly rawOutputContents?: readonly string[];
}

interface Metadata {
  readonly versions: readonly string[];
  readonly inputs: readonly { name: string; datatype: string; shape: readonly string[] }[];
  readonly outputs: readonly { name: string; datatype: string; shape: readonly string[] }[];
}

export const openInferenceClaims: Claims = (test, wire) => {
  test(
    'speaks the open inference protocol with the CNN node',
    async () => {
      const client = await wire.at('cnn');
      const call = <T>(method: string, request: object): Promise<T> =>
        client.call<T>(`inference.GRPCInferenceService/${method}`, { ...request });
      const service = 'inference.GRPCInferenceService';
      const health = await client.call('grpc.health.v1.Health/Check', { service });
      assert.equal(health, { status: 'SERVING' });
      assert.equal(await call('ServerLive', {}), { live: true });
      assert.equal(await call('ServerReady', {}), { ready: true });
      assert.equal(await call('ModelReady', { name: 'shapes' }), { ready: true });
      // A default in JSON is left out: not ready.
      assert.equal(await call('ModelReady', { name: 'garbage' }), {});
      const metadata = await call<Metadata>('ModelMetadata', { name: 'shapes' });
      const [input] = metadata.inputs;
      assert.equal([metadata.inputs.length, input?.datatype], [1, 'FP32']);
      const shape = input!.shape.map((size) => Math.max(1, Number(size)));
      const ramp = Float32Array.from(
        { length: shape.reduce((count, size) => count * size, 1) },
        (_, index) => (index % 9) / 9,
      );
      const tensor = { name: input!.name, datatype: 'FP32', shape };
      const raw = await call<Inferred>('ModelInfer', {
        ...{ modelName: 'shapes', id: 'mine', inputs: [tensor] },
        rawInputContents: [base64(new Uint8Array(ramp.buffer))],
      });
      assert.equal([raw.modelName, raw.modelVersion, raw.id], ['shapes', '1', 'mine']);
      const typed = await call<Inferred>('ModelInfer', {
        ...{ modelName: 'shapes', modelVersion: '1' },
        inputs: [{ ...tensor, contents: { fp32Contents: Array.from(ramp) } }],
      });
      const bytes = Uint8Array.from(Buffer.from(raw.rawOutputContents?.at(-1) ?? '', 'base64'));
      const logits = Array.from(new Float32Array(bytes.buffer));
      assert.is(logits.length, 4);
      assert.ok(
        typed.outputs
          .at(-1)!
          .contents!.fp32Contents.every((one, index) => Math.abs(one - logits[index]!) < 1e-5),
      );
      assert.is(raw.outputs[0]?.contents, undefined);
      const { models } = await call<{ models: { name: string; state: string }[] }>(
        'RepositoryIndex',
        {},
      );
      const states = Object.fromEntries(models.map(({ name, state }) => [name, state]));
      assert.equal(
        [states['shapes'], states['garbage'], states['altered']],
        ['READY', 'UNAVAILABLE', 'UNAVAILABLE'],
      );
      const unknown = await client.failure('inference.GRPCInferenceService/ModelInfer', {
        ...{ modelName: 'shape', inputs: [tensor] },
        rawInputContents: [base64(new Uint8Array(ramp.buffer))],
      });
      assert.equal([unknown.code, unknown.reason], ['not_found', 'MODEL_NOT_FOUND']);
    },
    { timeoutMs },
  );

  test(
    'may be a Python client of the open inference protocol',
    async () => {
      const { address } = await wire.member('cnn');
      const heard = await hearPython(address, 'shapes');
      assert.equal([heard.live, heard.ready, heard.modelReady], [true, true, true]);
      assert.equal(heard.rawNumbers.length, 4);
      assert.equal([heard.unloaded, heard.loadedAgain, heard.sameAgain], [false, true, true]);
      assert.is(heard.failures['unknown model']?.code, 'NOT_FOUND');
    },
    { timeoutMs, skip: whyNoPython },
  );
};
