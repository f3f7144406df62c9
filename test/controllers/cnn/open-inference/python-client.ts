import { spawnSync } from 'node:child_process';
import path from 'node:path';

import { assert } from '../../../suite.js';
import { StartedCommand } from '../../../end-to-end/started-command.js';
import { productRoot } from '../../../services/cnn/fixture.js';

const script = path.join(productRoot, 'test/controllers/cnn/open-inference/protocol_client.py');
const descriptors = path.join(productRoot, 'protos/gen/descriptors.binpb');

/** A Python with grpcio and protobuf: Debian's (`apt-get install python3-grpcio python3-protobuf`), or the one on the path. */
const python = ['/usr/bin/python3', 'python3'].find(
  (one) => spawnSync(one, ['-c', 'import grpc, google.protobuf']).status === 0,
);

/** Why there is no Python client; undefined where there is one. */
export const whyNoPython =
  python === undefined
    ? 'no Python with grpcio here: apt-get install python3-grpcio python3-protobuf'
    : undefined;

export interface Failure {
  readonly code: string;
  readonly reason: string;
  readonly details: string;
}

interface Answer {
  readonly id: string;
  readonly model: string;
  readonly version: string;
  readonly outputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
    /** How many elements came typed. */
    readonly typed: number;
  }[];
  /** Bytes of each raw output. */
  readonly raw: readonly number[];
}

type TensorFacts = readonly [name: string, datatype: string, shape: readonly number[]];

/** What `protocol_client.py` has heard. */
export interface Heard {
  readonly live: boolean;
  readonly ready: boolean;
  readonly modelReady: boolean;
  readonly unknownReady: boolean;
  readonly server: { readonly name: string; readonly extensions: readonly string[] };
  readonly metadata: {
    readonly name: string;
    readonly versions: readonly string[];
    readonly platform: string;
    readonly inputs: readonly TensorFacts[];
    readonly outputs: readonly TensorFacts[];
  };
  readonly raw: Answer;
  readonly rawNumbers: readonly number[];
  readonly asked: Answer;
  readonly typed: Answer;
  readonly typedNumbers: readonly number[];
  readonly failures: Readonly<Record<string, Failure>>;
  readonly index: readonly (readonly [string, string, string])[];
  readonly unloaded: boolean;
  readonly loadedAgain: boolean;
  readonly sameAgain: boolean;
  readonly statistics: readonly {
    readonly name: string;
    readonly version: string;
    readonly inferences: number;
    readonly executions: number;
    readonly successes: number;
    readonly computeNs: number;
  }[];
}

/** Lets a Python client of the protocol try all of it on a model with one FP32 input and an FP32 output. */
export async function hearPython(address: string, model: string): Promise<Heard> {
  const args = [script, address, descriptors, model];
  const { code, stdout, stderr } = await new StartedCommand(python ?? 'python3', args).ended;
  assert.is(code, 0, stderr);
  return JSON.parse(stdout) as Heard;
}
