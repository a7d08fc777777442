/** What the agent counts, as metrics. Every name is documented in docs/metrics.md. */
import type { AgentHeartbeat, Family } from "@equipoise/shared";

/** What the heartbeat says, and what only operators ask for. */
export interface Snapshot extends AgentHeartbeat {
  requests: { answered: number; refused: number };
}

export function agentFamilies({ buffer, uplink, sources, clock, device, requests }: Snapshot): Family[] {
  const bySource = (value: (source: AgentHeartbeat["sources"][number]) => number): Family["samples"] =>
    sources.map((source) => ({ labels: { source: source.spec }, value: value(source) }));
  return [
    counter(
      "equipoise_source_ticks_total",
      "Trades taken from the source.",
      bySource(({ ticks }) => ticks),
    ),
    counter(
      "equipoise_source_skipped_total",
      "Malformed pieces of its input.",
      bySource(({ skipped }) => skipped),
    ),
    counter(
      "equipoise_source_gaps_total",
      "Gap records it has written.",
      bySource(({ gaps }) => gaps),
    ),
    gauge(
      "equipoise_source_up",
      "1 while the source runs, and is connected where it is a venue.",
      bySource(({ state, connection }) => (state === "running" && connection?.connected !== false ? 1 : 0)),
    ),
    ...venueFamilies(sources),
    gauge("equipoise_buffer_ticks", "Ticks that are not acknowledged.", one(buffer.ticks)),
    gauge("equipoise_buffer_bytes", "Bytes of the buffer's database.", one(buffer.bytes)),
    gauge(
      "equipoise_buffer_oldest_age_seconds",
      "Age of the oldest of them; 0 without one.",
      one((buffer.oldestAgeMs ?? 0) / 1_000),
    ),
    gauge(
      "equipoise_buffer_full",
      "1 at one of its bounds, and while the disk takes no writes.",
      one(buffer.state === "open" ? 0 : 1),
    ),
    counter("equipoise_buffer_lost_total", "Ticks given up; gap records say which.", one(buffer.lost)),
    gauge("equipoise_buffer_set_aside_files", "Damaged databases set aside.", one(buffer.setAside.files)),
    gauge("equipoise_buffer_set_aside_bytes", "Their bytes.", one(buffer.setAside.bytes)),
    counter(
      "equipoise_buffer_set_aside_removed_total",
      "Those removed for being too many.",
      one(buffer.setAside.removed),
    ),
    counter(
      "equipoise_written_bytes_total",
      "Bytes that the process has had written to disk.",
      one(buffer.writtenBytes),
    ),
    gauge("equipoise_uplink_connected", "1 with a connection to a broker.", one(uplink.connected ? 1 : 0)),
    gauge("equipoise_uplink_in_flight_ticks", "Ticks sent and not acknowledged.", one(uplink.inFlight)),
    counter(
      "equipoise_uplink_acknowledged_total",
      "Ticks that a broker has acknowledged.",
      one(uplink.acknowledged),
    ),
    counter("equipoise_uplink_reconnects_total", "Connections after the first.", one(uplink.reconnects)),
    counter(
      "equipoise_requests_answered_total",
      "Requests over MQTT that were answered.",
      one(requests.answered),
    ),
    counter(
      "equipoise_requests_refused_total",
      "Requests beyond the bounds, or not understood.",
      one(requests.refused),
    ),
    gauge(
      "equipoise_clock_synchronised",
      "1 when the clock follows a time server; absent where unknown.",
      one(truth(clock.synchronised)),
    ),
    counter("equipoise_clock_steps_total", "How often the wall clock was set.", one(clock.steps)),
    ...deviceFamilies(device),
  ];
}

function venueFamilies(sources: AgentHeartbeat["sources"]): Family[] {
  const samples = sources.flatMap(({ spec: source, connection }) =>
    connection === undefined ? [] : [{ labels: { source }, value: connection.missing.length }],
  );
  const ages = sources.flatMap(({ spec: source, connection }) => {
    const ageMs = connection?.lastTickAgeMs ?? null;
    return ageMs === null ? [] : [{ labels: { source }, value: ageMs / 1_000 }];
  });
  return [
    gauge(
      "equipoise_source_last_tick_age_seconds",
      "Since a venue's last trade; absent before the first.",
      ages,
    ),
    gauge(
      "equipoise_source_missing_symbols",
      "Symbols that the venue refused or did not answer for.",
      samples,
    ),
  ];
}

function deviceFamilies(device: AgentHeartbeat["device"]): Family[] {
  const { network, throttling } = device;
  return [
    gauge("equipoise_device_cpu_ratio", "Share of all cores in use.", one(device.cpu)),
    gauge("equipoise_device_memory_used_bytes", "Memory in use.", one(device.memoryUsedBytes)),
    gauge("equipoise_device_memory_bytes", "Memory of the device.", one(device.memoryBytes)),
    gauge("equipoise_device_temperature_celsius", "Temperature of the processor.", one(device.temperatureC)),
    gauge(
      "equipoise_device_throttled",
      "1 while the processor is slowed down or the voltage is too low.",
      one(truth(throttling === null ? null : throttling.now.length > 0)),
    ),
    gauge("equipoise_device_disk_free_bytes", "Free space where the buffer is.", one(device.diskFreeBytes)),
    gauge("equipoise_device_disk_bytes", "Size of that file system.", one(device.diskBytes)),
    gauge(
      "equipoise_device_network_up",
      "1 with a link on any interface.",
      one(truth(network === null ? null : network.link)),
    ),
    gauge(
      "equipoise_device_network_received_bytes_per_second",
      "Bytes per second of all interfaces.",
      one(network?.receivedBytesPerSecond ?? null),
    ),
    gauge(
      "equipoise_device_network_sent_bytes_per_second",
      "Bytes per second of all interfaces.",
      one(network?.sentBytesPerSecond ?? null),
    ),
  ];
}

const truth = (value: boolean | null): number | null => (value === null ? null : value ? 1 : 0);
/** What is not known has no sample. */
const one = (value: number | null): Family["samples"] => (value === null ? [] : [{ value }]);
const gauge = (name: string, help: string, samples: Family["samples"]): Family => ({
  name,
  help,
  type: "gauge",
  samples,
});
const counter = (name: string, help: string, samples: Family["samples"]): Family => ({
  name,
  help,
  type: "counter",
  samples,
});
