import { profiles } from '../gossip/core/profile.js';
import type { ProfileName } from '../gossip/core/profile.js';
import { Memberlist } from '../gossip/memberlist.js';

/** A member in a process of its own, to be killed: NAME PORT PROFILE SEED. */
const [name = '', port = '0', profile = 'lan', seed = ''] = process.argv.slice(2);
const list = await Memberlist.create({
  ...{ name, port: Number(port), profile: profiles[profile as ProfileName] },
});
await list.join([seed]);
