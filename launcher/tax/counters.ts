/** Bytes and messages that went one way between two members. */
export interface LinkFlow {
  readonly bytes: number;
  readonly messages: number;
}

/** What members sent to each other, by `FROM -> TO`. */
export type LinkTraffic = ReadonlyMap<string, LinkFlow>;

const BYTES = 'fractory_wire_bytes_total';
const MESSAGES = 'fractory_wire_messages_total';
/** `name{label="value",...} number`, as in Prometheus' text format. */
const SAMPLE = /^([a-zA-Z_:][\w:]*)\{([^]*)\} (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/**
 * What one member sent, by peer, from its Prometheus text. Each link is counted where it begins: bytes received are the same bytes
 * again. Undefined if the node counts nothing on its wires.
 */
export function sentBy(member: string, metrics: string): LinkTraffic | undefined {
  const flows = new Map<string, { bytes: number; messages: number }>();
  for (const line of metrics.split('\n')) {
    const sample = SAMPLE.exec(line);
    const name = sample?.[1];
    if (!sample || (name !== BYTES && name !== MESSAGES)) continue;
    const labels = new Map(
      [...(sample[2] ?? '').matchAll(LABEL)].map(([, key, value]) => [key, value]),
    );
    if (labels.get('direction') !== 'sent') continue;
    const link = `${member} -> ${labels.get('peer') ?? '?'}`;
    const flow = flows.get(link) ?? { bytes: 0, messages: 0 };
    flow[name === BYTES ? 'bytes' : 'messages'] += Number(sample[3]);
    flows.set(link, flow);
  }
  return flows.size > 0 || metrics.includes(`# TYPE ${BYTES} `) ? flows : undefined;
}

/** Several members' links together. */
export function together(parts: readonly LinkTraffic[]): LinkTraffic {
  return new Map(parts.flatMap((part) => [...part]));
}

/** What was added between two looks; links without traffic are left out. */
export function difference(before: LinkTraffic, after: LinkTraffic): LinkTraffic {
  const flows = [...after].map(([link, { bytes, messages }]) => {
    const earlier = before.get(link) ?? { bytes: 0, messages: 0 };
    return [link, { bytes: bytes - earlier.bytes, messages: messages - earlier.messages }] as const;
  });
  return new Map(flows.filter(([, { bytes, messages }]) => bytes > 0 || messages > 0));
}

export function totalOf(traffic: LinkTraffic): LinkFlow {
  let bytes = 0;
  let messages = 0;
  for (const flow of traffic.values()) {
    bytes += flow.bytes;
    messages += flow.messages;
  }
  return { bytes, messages };
}

/** Whether two looks saw the same. */
export function sameTraffic(one: LinkTraffic, other: LinkTraffic): boolean {
  return difference(one, other).size === 0 && difference(other, one).size === 0;
}
