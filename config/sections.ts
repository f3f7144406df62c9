import { endpoints, flag, httpUrl, integer, list, oneOf, section, SECRET, text } from './fields.js';
import { gossipKeys } from './gossip.js';
import { limitsSection } from './limits.js';

/** The sections that every ini file may have, by name. Those of controllers come on top: `controller-section.ts`. */
export const sections = {
  DataCenter: section({
    /** Nodes of the same name and coordinator find each other. */
    name: text().default('fractory'),
    /** Address that servers bind to and that members publish. */
    grpc_ip: text().default('127.0.0.1'),
    /** Folder of the files of clients. */
    storage_path: text().default('.fractory/storage'),
  }),
  ZooKeeper: section({
    enabled: flag().default(true),
    /** Servers that the launcher starts. */
    servers: integer(1, 9)
      .refine((servers) => servers % 2 === 1, 'expected an odd number, so that a majority exists')
      .default(3),
    /** An ensemble that runs already: host:port, host:port, ... */
    connect: list().optional(),
    tick_ms: integer(50, 10_000).default(500),
    session_timeout_ms: integer(500, 120_000).default(4000),
  }),
  Security: section({
    mode: oneOf('open', 'token', 'mtls').default('open'),
    token_file: text().optional(),
    ca_path: text().optional(),
    certificate_path: text().optional(),
    key_path: text().optional(),
  }),
  Gossip: section({
    /** Nodes find out by gossip, too, who of them has died. */
    enabled: flag().default(false),
    /** Members of the gossip beside those that the coordinator lists: ADDRESS:PORT, ... */
    join: endpoints().optional(),
    profile: oneOf('fast', 'lan', 'wan', 'local').default('fast'),
    /** UDP and TCP. The first node at an address gets it, the others any free one; 0 = any for all. */
    port: integer(0, 65_535).default(0),
    /** Base64, 16, 24 or 32 bytes each; the first one encrypts. */
    key: gossipKeys().optional().meta(SECRET),
    /** The same in a file. */
    key_file: text().optional(),
    /** The keys as they were changed since, in a file as Serf has it; once it is there it goes before the others. */
    keyring: text().default('.fractory/gossip-keyring.json'),
  }),
  Limits: limitsSection,
  Telemetry: section({
    /** Base URL of the collector that takes traces as OTLP over HTTP. */
    otlp_endpoint: httpUrl().optional(),
  }),
  Controllers: section({
    controller_names: list(),
  }),
} as const;

/** Keys that the section of every controller may have; the device's own keys stand beside them. */
export const controllerSection = section({
  /** `main.ts` of the controller; each one is started `instances` times. */
  paths_to_controller: list(),
  instances: integer(0, 64).default(1),
  routing: oneOf('leader', 'any').default('any'),
  verbose: flag().default(false),
  zookeeper: flag().default(true),
  /** One for each node of this section. */
  ports: list().optional(),
});
