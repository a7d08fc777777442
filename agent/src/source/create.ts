/** The source that a specification names. */
import type { Readable } from "node:stream";
import { type Clock, EquipoiseError, type Logger } from "@equipoise/shared";
import { FileSource } from "./file.ts";
import { HttpSource } from "./listen/http.ts";
import { TcpSource } from "./listen/tcp.ts";
import { UdpSource } from "./listen/udp.ts";
import { speedFactor } from "./pacer.ts";
import type { ReadMarks, Source } from "./source.ts";
import { parseSourceSpec } from "./spec.ts";
import { StdinSource } from "./stdin.ts";
import { VenueSource } from "./venue/venue-source.ts";

export interface SourceOptions {
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  logger: Logger;
  stdin: Readable;
  marks: ReadMarks;
  /** The pace of files: `realtime`, `max` or a number. */
  speed: string;
}

/** @throws EquipoiseError EQ_CONFIG_BAD_VALUE */
export function createSource(text: string, options: SourceOptions): Source {
  const { clock, random, logger, stdin, marks, speed } = options;
  const spec = parseSourceSpec(text);
  if ("fault" in spec) throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", `source ${text} ${spec.fault}`);
  switch (spec.kind) {
    case "file":
      return new FileSource(spec, speedFactor(speed), clock, logger);
    case "stdin":
      return new StdinSource(text, stdin, clock, logger);
    case "venue":
      return new VenueSource({ spec, clock, random, logger, marks });
    case "tcp":
      return new TcpSource(spec, clock, logger);
    case "udp":
      return new UdpSource(spec, clock, logger);
    case "http":
      return new HttpSource(spec, clock, logger);
  }
}
