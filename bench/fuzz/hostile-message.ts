import { ScalarType } from '@bufbuild/protobuf';
import type { DescField, DescMessage } from '@bufbuild/protobuf';

import { wholeBetween } from '../../runtime/seeded-random.js';
import type { Random } from '../../runtime/seeded-random.js';
import {
  chance,
  hostileBytes,
  hostileDouble,
  hostileNumber,
  hostileText,
} from './hostile-values.js';
import { oneOf, randomBytes } from './hostile-values.js';
import { BYTES, bytesField, doubleField, FIXED32, fieldsOf, floatField, GROUP } from './wire.js';
import { nested, numberField, tag, varint, VARINT } from './wire.js';

const CAPABILITY = 'fractory.v1.Capability';
const MAX_DEPTH = 6;
/** Fields of one message, all levels together, and about how many bytes they have. */
const MAX_FIELDS = 300;
const MAX_BYTES = 2 * 1024 ** 2;
const LEVELS = [20, 99, 101, 101, 1000, 1000, 5000, 20_000];

/** Makes messages of a type that its reader can't have hoped for. What it makes depends on `random` and on the capabilities only. */
export class HostileMessages {
  readonly #random: Random;
  readonly #capabilities: readonly Uint8Array[];
  #fieldsLeft = 0;
  #bytesLeft = 0;

  /** `capabilities`: genuine ones, encoded. */
  constructor(random: Random, capabilities: readonly Uint8Array[]) {
    this.#random = random;
    this.#capabilities = capabilities;
  }

  /** A message of this type: whole, or in any way broken. */
  of(type: DescMessage | undefined): Buffer {
    this.#replenish();
    const roll = this.#random();
    if (!type || roll < 0.06) return randomBytes(this.#random, wholeBetween(this.#random, 0, 200));
    if (roll < 0.1) return Buffer.alloc(0);
    if (roll < 0.2) return this.#deep(type);
    const message = this.#message(type, 0);
    return roll < 0.7 ? message : this.broken(message);
  }

  /** A message in which something is changed: a field, or a few bytes. */
  changed(message: Uint8Array, type: DescMessage | undefined): Buffer {
    this.#replenish();
    return type && chance(this.#random, 0.75)
      ? this.#withFieldChanged(message, type, 0)
      : this.broken(message);
  }

  /** The same bytes, but cut off, with a bit flipped, with more inserted, or with a length that lies. */
  broken(message: Uint8Array): Buffer {
    const random = this.#random;
    const bytes = Buffer.from(message);
    const at = wholeBetween(random, 0, Math.max(0, bytes.length - 1));
    switch (wholeBetween(random, 0, 4)) {
      case 0:
        return bytes.subarray(0, at);
      case 1:
        if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << wholeBetween(random, 0, 7));
        return bytes;
      case 2:
        return Buffer.concat([bytes.subarray(0, at), randomBytes(random, 9), bytes.subarray(at)]);
      case 3:
        return Buffer.concat([bytes, tag(wholeBetween(random, 1, 20), BYTES), varint(2n ** 31n)]);
      default:
        return Buffer.concat([bytes, bytes]);
    }
  }

  #replenish(): void {
    this.#fieldsLeft = MAX_FIELDS;
    this.#bytesLeft = MAX_BYTES;
  }

  #message(type: DescMessage, depth: number): Buffer {
    if (type.typeName === CAPABILITY && chance(this.#random, 0.7)) return this.#capability(type);
    const parts: Buffer[] = [];
    for (const field of type.fields) {
      const share = field.oneof ? 1.2 / field.oneof.fields.length : 0.75;
      if (chance(this.#random, share)) parts.push(...this.#field(field, depth));
    }
    if (chance(this.#random, 0.08)) parts.push(this.#stray());
    return Buffer.concat(parts);
  }

  /** Genuine, or nearly so. */
  #capability(type: DescMessage): Buffer {
    if (this.#capabilities.length === 0) return Buffer.alloc(0);
    const genuine = Buffer.from(oneOf(this.#random, this.#capabilities));
    return chance(this.#random, 0.6) ? genuine : this.#withFieldChanged(genuine, type, MAX_DEPTH);
  }

  #field(field: DescField, depth: number): Buffer[] {
    if (chance(this.#random, 0.02)) return [this.#wrongType(field.number)];
    const isMany = field.fieldKind === 'list' || field.fieldKind === 'map';
    const count = isMany ? oneOf(this.#random, [0, 1, 1, 2, 3, 8]) : 1;
    return Array.from({ length: count }, () => {
      if (this.#fieldsLeft <= 0 || this.#bytesLeft <= 0) return Buffer.alloc(0);
      this.#fieldsLeft--;
      const value = this.#value(field, depth);
      if (!field.message) this.#bytesLeft -= value.length;
      return value;
    });
  }

  #value(field: DescField, depth: number): Buffer {
    const { number } = field;
    if (field.fieldKind === 'map')
      return bytesField(
        number,
        Buffer.concat([
          bytesField(1, hostileText(this.#random)),
          bytesField(2, hostileText(this.#random)),
        ]),
      );
    if (field.message)
      return bytesField(
        number,
        depth < MAX_DEPTH ? this.#message(field.message, depth + 1) : Buffer.alloc(0),
      );
    switch (field.scalar) {
      case ScalarType.STRING:
        return bytesField(number, hostileText(this.#random));
      case ScalarType.BYTES:
        return bytesField(number, this.#bytes());
      case ScalarType.DOUBLE:
        return doubleField(number, hostileDouble(this.#random));
      case ScalarType.FLOAT:
        return floatField(number, hostileDouble(this.#random));
      default:
        return numberField(number, hostileNumber(this.#random));
    }
  }

  /** Bytes may be messages that somebody decodes later. */
  #bytes(): Buffer {
    return this.#capabilities.length > 0 && chance(this.#random, 0.15)
      ? bytesField(1, oneOf(this.#random, this.#capabilities))
      : hostileBytes(this.#random);
  }

  /** Deeper than anybody reads, where the type allows it; else groups in groups, which nobody knows and everybody has to skip. */
  #deep(type: DescMessage): Buffer {
    const levels = oneOf(this.#random, LEVELS);
    const way = cycleOf(type);
    if (!way || chance(this.#random, 0.2)) return Buffer.alloc(2 * levels, tag(99, GROUP));
    const inner = nested(way.cycle, levels);
    return way.before.reduceRight<Buffer>((bytes, field) => bytesField(field, bytes), inner);
  }

  #withFieldChanged(message: Uint8Array, type: DescMessage, depth: number): Buffer {
    const fields = fieldsOf(message);
    const random = this.#random;
    if (fields.length === 0 || chance(random, 0.2)) {
      const added = type.fields.length > 0 ? this.#field(oneOf(random, type.fields), depth) : [];
      return Buffer.concat([message, ...added]);
    }
    const index = wholeBetween(random, 0, fields.length - 1);
    const { field: number, type: wireType, content, whole } = fields[index]!;
    const field = type.fields.find((one) => one.number === number);
    let instead: Buffer[];
    const roll = random();
    if (!field || roll < 0.1) instead = [];
    else if (roll < 0.2) instead = [whole, whole];
    else if (roll < 0.3) instead = [this.#wrongType(number)];
    else if (field.message && wireType === BYTES && depth < MAX_DEPTH && field.fieldKind !== 'map')
      instead = [bytesField(number, this.#withFieldChanged(content, field.message, depth + 1))];
    else if (wireType === BYTES && roll < 0.6) instead = [bytesField(number, this.broken(content))];
    else instead = [this.#value(field, depth)];
    const parts = fields.map((one, at) => (at === index ? Buffer.concat(instead) : one.whole));
    return Buffer.concat(parts);
  }

  #wrongType(field: number): Buffer {
    const type = oneOf(this.#random, [VARINT, BYTES, FIXED32, 1, GROUP, 4, 6, 7]);
    return Buffer.concat([tag(field, type), randomBytes(this.#random, 8)]);
  }

  /** A field that nobody knows. */
  #stray(): Buffer {
    const field = oneOf(this.#random, [100, 18_999, 19_500, 2 ** 29 - 1]);
    return chance(this.#random, 0.5)
      ? bytesField(field, hostileBytes(this.#random))
      : numberField(field, hostileNumber(this.#random));
  }
}

interface Way {
  readonly before: readonly number[];
  readonly cycle: readonly number[];
}

/** Fields through which a type leads into itself, and how to get there. */
function cycleOf(type: DescMessage): Way | undefined {
  const seen: DescMessage[] = [];
  const search = (at: DescMessage, fields: readonly number[]): Way | undefined => {
    const first = seen.indexOf(at);
    if (first >= 0) return { before: fields.slice(0, first), cycle: fields.slice(first) };
    seen.push(at);
    for (const field of at.fields) {
      if (!field.message || field.fieldKind === 'map') continue;
      const found = search(field.message, [...fields, field.number]);
      if (found) return found;
    }
    seen.pop();
    return undefined;
  };
  return search(type, []);
}
