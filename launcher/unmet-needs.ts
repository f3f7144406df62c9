import type { DataCenterConfig } from '../config/data-center-config.js';
import type { MemberStatus } from './member-status.js';

/** One line for each member that a controller which was started can't do without and that is not there. */
export function unmetNeeds(
  { controllers }: Pick<DataCenterConfig, 'controllers'>,
  members: readonly Pick<MemberStatus, 'id'>[],
): string[] {
  const present = new Set(members.map(({ id }) => id));
  const started = controllers.filter(({ listed, nodes }) => listed && nodes.length > 0);
  return started.flatMap(({ section, needs }) =>
    needs
      .filter(({ member }) => !present.has(member))
      .map(({ type, member, setting }) => {
        const other = controllers.find((controller) => controller.type === type);
        const lasting =
          other && !other.listed ? `, or add ${other.section} to controller_names` : '';
        return (
          `[${section}] ${setting} needs the member ${member}, which is not registered: ` +
          `./datacenter node ${type} --name ${member} starts it${lasting}`
        );
      }),
  );
}
