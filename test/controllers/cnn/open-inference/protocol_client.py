"""Talks to an inference server as tritonclient.grpc does, and prints what it heard as JSON.

    protocol_client.py HOST:PORT DESCRIPTORS MODEL

It shares no code with the server: messages are made of the descriptor set by Python's own protobuf, calls go through grpcio.
Requests have the shapes of tritonclient's: `model_version` "", raw contents, requested outputs with parameters, `priority`, `timeout`.
"""

import json
import struct
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

address, descriptors, model = sys.argv[1:4]
SERVICE = "inference.GRPCInferenceService"
TIMEOUT_S = 20
# As tritonclient asks for.
OPTIONS = [("grpc.max_send_message_length", 2**31 - 1), ("grpc.max_receive_message_length", 2**31 - 1)]

pool = descriptor_pool.DescriptorPool()
with open(descriptors, "rb") as file:
    known = {one.name: one for one in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file}


def add(name):
    """Adds a file after those that it needs."""
    if name not in known:
        return
    definition = known.pop(name)
    for needed in definition.dependency:
        add(needed)
    pool.Add(definition)


for name in ("inference/grpc_service.proto", "google/rpc/status.proto", "google/rpc/error_details.proto"):
    add(name)


def message(name):
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


channel = grpc.insecure_channel(address, options=OPTIONS)


def call(method, request=None, metadata=()):
    request = message(f"inference.{method}Request")() if request is None else request
    response = message(f"inference.{method}Response")
    send = channel.unary_unary(
        f"/{SERVICE}/{method}",
        request_serializer=lambda one: one.SerializeToString(),
        response_deserializer=response.FromString,
    )
    return send(request, timeout=TIMEOUT_S, metadata=metadata)


def request_of(method, **fields):
    return message(f"inference.{method}Request")(**fields)


def failure(method, request):
    """Status, reason and text of a call that has to fail."""
    try:
        call(method, request)
    except grpc.RpcError as error:
        reason = ""
        for key, value in error.trailing_metadata():
            if key == "grpc-status-details-bin":
                for detail in message("google.rpc.Status").FromString(value).details:
                    if detail.type_url.endswith("google.rpc.ErrorInfo"):
                        reason = message("google.rpc.ErrorInfo").FromString(detail.value).reason
        return {"code": error.code().name, "reason": reason, "details": error.details()}
    return {"code": "OK", "reason": "", "details": ""}


def infer_request(inputs, raw=(), outputs=(), version="", **fields):
    request = request_of("ModelInfer", model_name=fields.pop("model_name", model), model_version=version, **fields)
    for name, datatype, shape in inputs:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
    request.raw_input_contents.extend(raw)
    for name in outputs:
        request.outputs.add(name=name)
    return request


def shown(response):
    return {
        "id": response.id,
        "model": response.model_name,
        "version": response.model_version,
        "outputs": [
            {"name": one.name, "datatype": one.datatype, "shape": list(one.shape), "typed": len(one.contents.fp32_contents)}
            for one in response.outputs
        ],
        "raw": [len(one) for one in response.raw_output_contents],
    }


heard = {}
heard["live"] = call("ServerLive").live
heard["ready"] = call("ServerReady").ready
heard["modelReady"] = call("ModelReady", request_of("ModelReady", name=model, version="")).ready
heard["unknownReady"] = call("ModelReady", request_of("ModelReady", name="no-such-model", version="")).ready
server = call("ServerMetadata")
heard["server"] = {"name": server.name, "version": server.version, "extensions": sorted(server.extensions)}

metadata = call("ModelMetadata", request_of("ModelMetadata", name=model, version=""))
heard["metadata"] = {
    "name": metadata.name,
    "versions": list(metadata.versions),
    "platform": metadata.platform,
    "inputs": [[one.name, one.datatype, list(one.shape)] for one in metadata.inputs],
    "outputs": [[one.name, one.datatype, list(one.shape)] for one in metadata.outputs],
}

# One FP32 input, filled with a ramp; open sizes become 1.
[first] = metadata.inputs
shape = [size if size > 0 else 1 for size in first.shape]
count = 1
for size in shape:
    count *= size
numbers = [index % 7 / 8 for index in range(count)]
data = struct.pack(f"<{count}f", *numbers)
inputs = [(first.name, first.datatype, shape)]
last = metadata.outputs[-1].name

raw = call("ModelInfer", infer_request(inputs, [data], id="request-1"))
heard["raw"] = shown(raw)
heard["rawNumbers"] = list(struct.unpack(f"<{len(raw.raw_output_contents[-1]) // 4}f", raw.raw_output_contents[-1]))

asked = infer_request(inputs, [data], [last], version=raw.model_version)
asked.parameters["priority"].uint64_param = 1
asked.parameters["timeout"].int64_param = 10_000_000
asked.outputs[0].parameters["binary_data"].bool_param = True
heard["asked"] = shown(call("ModelInfer", asked))

typed = infer_request(inputs)
typed.inputs[0].contents.fp32_contents.extend(numbers)
answer = call("ModelInfer", typed)
heard["typed"] = shown(answer)
heard["typedNumbers"] = list(answer.outputs[-1].contents.fp32_contents)

both = infer_request(inputs, [data])
both.inputs[0].contents.fp32_contents.extend(numbers)
wrong = "INT64" if first.datatype == "FP32" else "FP32"
heard["failures"] = {
    "unknown model": failure("ModelInfer", infer_request(inputs, [data], model_name="no-such-model")),
    "unknown version": failure("ModelInfer", infer_request(inputs, [data], version="77")),
    "version no number": failure("ModelInfer", infer_request(inputs, [data], version="latest")),
    "unknown input": failure("ModelInfer", infer_request([("no-such-input", first.datatype, shape)], [data])),
    "no input": failure("ModelInfer", infer_request([])),
    "wrong datatype": failure("ModelInfer", infer_request([(first.name, wrong, shape)], [data + (data if wrong == "INT64" else b"")])),
    "unknown datatype": failure("ModelInfer", infer_request([(first.name, "FP31", shape)], [data])),
    "wrong rank": failure("ModelInfer", infer_request([(first.name, first.datatype, [count])], [data])),
    "negative shape": failure("ModelInfer", infer_request([(first.name, first.datatype, [-1] + shape[1:])], [data])),
    "too few bytes": failure("ModelInfer", infer_request(inputs, [data[:-1]])),
    "unknown output": failure("ModelInfer", infer_request(inputs, [data], ["no-such-output"])),
    "same input twice": failure("ModelInfer", infer_request(inputs * 2, [data] * 2)),
    "raw and typed": failure("ModelInfer", both),
    "metadata of nobody": failure("ModelMetadata", request_of("ModelMetadata", name="no-such-model")),
}

heard["index"] = sorted(
    [one.name, one.version, one.state] for one in call("RepositoryIndex", request_of("RepositoryIndex", ready=True)).models
)
call("RepositoryModelUnload", request_of("RepositoryModelUnload", model_name=model))
heard["unloaded"] = call("ModelReady", request_of("ModelReady", name=model)).ready
heard["failures"]["unloaded model"] = failure("ModelInfer", infer_request(inputs, [data]))
call("RepositoryModelLoad", request_of("RepositoryModelLoad", model_name=model))
heard["loadedAgain"] = call("ModelReady", request_of("ModelReady", name=model)).ready
again = call("ModelInfer", infer_request(inputs, [data]))
heard["sameAgain"] = list(again.raw_output_contents) == list(raw.raw_output_contents)

statistics = call("ModelStatistics", request_of("ModelStatistics", name=model, version=raw.model_version)).model_stats
heard["statistics"] = [
    {
        "name": one.name,
        "version": one.version,
        "inferences": one.inference_count,
        "executions": one.execution_count,
        "successes": one.inference_stats.success.count,
        "computeNs": one.inference_stats.compute_infer.ns,
    }
    for one in statistics
]
channel.close()
print(json.dumps(heard))
