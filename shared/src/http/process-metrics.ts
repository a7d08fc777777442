/** What the process itself costs: the names that Prometheus' own clients use, and the event loop's delay. */
import { EventLoopDelay } from "../event-loop-delay.ts";
import { version } from "../version.ts";
import type { Family } from "./exposition.ts";

const quantiles = [0.5, 0.99, 1] as const;

export class ProcessMetrics {
  readonly #delay = new EventLoopDelay();

  start(): void {
    this.#delay.start();
  }

  stop(): void {
    this.#delay.stop();
  }

  /** Quantiles of the event loop's delay are of the time since the last call. */
  families(): Family[] {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed, external } = process.memoryUsage();
    const families: Family[] = [
      gauge("equipoise_build_info", "Always 1; the version is the label.", 1, { version }),
      {
        ...gauge("process_cpu_seconds_total", "CPU time of all threads.", (user + system) / 1e6),
        type: "counter",
      },
      gauge("process_resident_memory_bytes", "Resident memory.", rss),
      gauge("nodejs_heap_used_bytes", "JavaScript heap in use, of the main thread.", heapUsed),
      gauge("nodejs_external_memory_bytes", "Buffers outside the heap.", external),
      gauge("process_start_time_seconds", "Start, in seconds since 1970.", performance.timeOrigin / 1_000),
      {
        name: "equipoise_event_loop_delay_seconds",
        help: "How late the event loop was since the last scrape.",
        type: "gauge",
        samples: quantiles.map((quantile) => ({
          labels: { quantile: String(quantile) },
          value: this.#delay.quantileMs(quantile) / 1_000,
        })),
      },
    ];
    this.#delay.reset();
    return families;
  }
}

function gauge(name: string, help: string, value: number, labels?: Record<string, string>): Family {
  return { name, help, type: "gauge", samples: [labels === undefined ? { value } : { labels, value }] };
}
