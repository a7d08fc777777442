"""Reads balancing rules in both formats with Protobuf's own library, checks that they are the same, and writes them.

Arguments: the directory with the generated load_balancing_pb2. Input and output: a JSON object of base64 texts.
"""

import base64
import json
import sys

sys.path.insert(0, sys.argv[1])
from google.protobuf import json_format  # noqa: E402
import load_balancing_pb2  # noqa: E402

given = json.load(sys.stdin)
binary = load_balancing_pb2.LoadBalancingConfiguration.FromString(base64.b64decode(given["binary"]))
text = base64.b64decode(given["json"]).decode("utf-8")
parsed = json_format.Parse(text, load_balancing_pb2.LoadBalancingConfiguration())
if parsed != binary:
    sys.exit("the two formats differ:\n%s\n%s" % (parsed, binary))
written = {
    "binary": parsed.SerializeToString(),
    "json": json_format.MessageToJson(binary).encode("utf-8"),
    "protoNames": json_format.MessageToJson(binary, preserving_proto_field_name=True).encode("utf-8"),
}
json.dump({name: base64.b64encode(content).decode("ascii") for name, content in written.items()}, sys.stdout)
