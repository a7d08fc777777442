"""Prints the records of a binary batch from standard input as JSON, one per line, as docs/payloads.md shows.

Argument: the directory with the generated tick_batch_pb2.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
from tick_batch_pb2 import Gap, TickBatch, TickRecord  # noqa: E402


def records_of(payload):
    batch = TickBatch.FromString(payload)
    seq = exchange_us = received_us = trade_id = 0
    for r in batch.records:
        seq += 1 + r.seq_skip
        place = {"agent": batch.agent, "epoch": batch.epoch, "seq": seq}
        if r.HasField("gap"):
            yield {"type": "gap", **missing_of(r.gap), **place}
            continue
        exchange_us += r.exchange_time_us_step
        received_us += r.received_time_us_step
        record = {"type": "trade", "venue": batch.venue, "symbol": batch.symbol}
        if r.WhichOneof("trade_id") == "trade_id_step":
            trade_id += r.trade_id_step
            record["tradeId"] = str(trade_id)
        elif r.HasField("trade_id_text"):
            record["tradeId"] = r.trade_id_text
        record.update(price=r.price, size=r.size, side=TickRecord.Side.Name(r.side).lower())
        yield {**record, "exchangeTimeUs": exchange_us, "receivedTimeUs": received_us, **place}


def missing_of(gap):
    missing = {"reason": Gap.Reason.Name(gap.reason).lower(), "count": None}
    missing.update({field.json_name: value for field, value in gap.ListFields() if field.name != "reason"})
    return missing


for record in records_of(sys.stdin.buffer.read()):
    print(json.dumps(record, separators=(",", ":")))
