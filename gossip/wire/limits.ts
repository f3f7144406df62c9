/**
 * What bytes of others may claim, and what they may cost before they are refused. Each is there since somebody who may send us anything could otherwise take memory or time
 * without end. Where memberlist has the same limit, the number is its.
 */

/** Name of a member, bytes. memberlist has no limit, Serf 128; two of them and tags still fit into a packet of 1,400. */
export const MAX_NAME_BYTES = 512;
/** Name of this member, bytes: whatever it says to whoever it is fits into one packet, with the longest label and encrypted. */
export const MAX_OWN_NAME_BYTES = 255;
/** Tags of a member, bytes; as memberlist. */
export const MAX_META_BYTES = 512;
/** IPv6. */
export const MAX_ADDRESS_BYTES = 16;
/** What rides on an answer to a ping, bytes: no UDP packet is larger. */
export const MAX_PAYLOAD_BYTES = 65_536;

/** Keys of one message, and bytes of each: ours have nine at most, and newer peers may know more. */
export const MAX_KEYS = 64;
export const MAX_KEY_BYTES = 64;
/** Values of a list where bytes are expected: Go writes versions like this now and then, nobody more. */
export const MAX_LISTED_BYTES = 1024;
/** Values in values, where unknown ones are passed over. */
export const MAX_VALUE_DEPTH = 16;

/** Packed in compound in packed ..., in one packet: nobody means more than three well. */
export const MAX_PACKET_DEPTH = 4;
/** What all that is packed in one packet becomes together, bytes: it was to be a packet itself. A bomb grows a thousandfold; memberlist allows 40 MiB, which would hold the event loop for a second. */
export const MAX_UNPACKED_PACKET_BYTES = 64 * 1024;
/** Messages, and parts that are none, of one packet. A compound has 255 at most, but may hold others. */
export const MAX_PACKET_MESSAGES = 1024;

/** An encrypted or packed frame on a connection, bytes; as memberlist. */
export const MAX_FRAME_BYTES = 20 * 1024 ** 2;
/** What it becomes, and what comes in plain on one connection, bytes; as memberlist. */
export const MAX_UNPACKED_BYTES = 40 * 1024 ** 2;
/** State of the program on top, and a message for it, bytes; as memberlist. */
export const MAX_USER_BYTES = 20 * 1024 ** 2;
/** A header, a ping or a refusal on a connection, bytes: what is larger is never gathered. */
export const MAX_HEADER_BYTES = 8192;
/** One member in an exchange with all that newer peers may say of it, bytes. */
export const MAX_MEMBER_BYTES = 8192;
/** Members that an exchange announces, if that is to mean anything; as memberlist. One of more than `MAX_MEMBERS` is refused as too large. */
export const MAX_ANNOUNCED_MEMBERS = 1024 ** 2;
/** Members that this one knows, or that one exchange has: ten times what the protocol was measured with. About 100 MB; a flood of made-up names ends here. */
export const MAX_MEMBERS = 100_000;
/** A refusal in words, bytes. */
export const MAX_REFUSAL_BYTES = 4096;
