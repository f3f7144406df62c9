import type { Limits } from '../../config/limits.js';
import type { ObjectTable } from './capabilities/objects.js';
import type { KernelAccess } from './device.js';
import type { Directory } from './directory.js';
import type { Grants } from './grants.js';
import type { Kernel } from './kernel.js';
import type { Links } from './links.js';
import type { NodeLife } from './node-life.js';
import type { MemoryAccess } from './memory/access.js';

export interface KernelAccessParts extends Pick<KernelAccess, 'leads' | 'stepBack'> {
  readonly limits: Limits;
  readonly life: NodeLife;
  readonly objects: ObjectTable;
  readonly directory: Directory;
  readonly grants: Grants;
  readonly memory: MemoryAccess;
  readonly kernel: Kernel;
  readonly links: Links;
}

/** What a device may do with the parts of its node. */
export function kernelAccess(parts: KernelAccessParts): KernelAccess {
  const { limits, life, objects, directory, grants, memory, kernel, links } = parts;
  return {
    limits,
    epoch: () => objects.epoch,
    onEpoch: (listener) => life.onEpoch(listener),
    leads: parts.leads,
    onLeads: (listener) => life.onLeads(listener),
    stepBack: parts.stepBack,
    members: () => directory.members(),
    onMembers: (listener) => directory.subscribe(listener),
    observe: (member, observation) => {
      directory.observe(member, observation);
    },
    standingOf: (member) => directory.standingOf(member),
    pick: (type) => directory.pick(type),
    suspect: (member) => {
      directory.suspect(member);
    },
    connect: (member, signal) => grants.of(member, signal),
    memory,
    addReply: (settle, ends) => objects.addReply(settle, ends),
    continueWith: (heads, value, beginning) => kernel.continueWith(heads, value, beginning),
    release: (member, release) => {
      kernel.sendRelease(member, release);
    },
    dispatch: (invocation, settle) => {
      kernel.dispatch(invocation, settle);
    },
    watch: (member, listener) => links.watch(member, listener),
  };
}
