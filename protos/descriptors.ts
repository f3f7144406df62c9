import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader';

/** Field `file` of google.protobuf.FileDescriptorSet. */
const FILE_FIELD = 1;

/**
 * The package definition that reflection wants, with every file of a descriptor set as it is. proto-loader's own loader merges the files of a
 * package into one and loses their imports, which foreign clients then miss.
 */
export function reflectablePackage(descriptorSet: Uint8Array): PackageDefinition {
  const files: Buffer[] = [];
  const reader = new BinaryReader(descriptorSet);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === FILE_FIELD && wireType === WireType.LengthDelimited)
      files.push(Buffer.from(reader.bytes()));
    else reader.skip(wireType, field);
  }
  const carrier: MessageTypeDefinition<object, object> = {
    format: 'Protocol Buffer 3 DescriptorProto',
    type: {},
    fileDescriptorProtos: files,
    serialize: () => Buffer.alloc(0),
    deserialize: () => ({}),
  };
  return { files: carrier };
}
