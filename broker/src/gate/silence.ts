import { Fault } from "./fault.ts";

/** For how long a client has not been heard, and for how long it may be. */
export class Silence {
  /** When the last whole packet came; at first, when the connection came. Monotonic. */
  heardAtMs: number;
  /** One and a half times its keepalive, once it has connected; 0 for no limit. */
  limitMs = 0;

  constructor(nowMs: number) {
    this.heardAtMs = nowMs;
  }

  /** Present when a client has not connected in time. */
  connectFault(nowMs: number, timeoutMs: number): Fault | undefined {
    if (nowMs - this.heardAtMs <= timeoutMs) return undefined;
    return new Fault("connectTimeout", "no CONNECT in time");
  }

  /** Present when a connected client has been silent for too long. @param excused it was not read */
  keepaliveFault(nowMs: number, excused: boolean): Fault | undefined {
    const silentMs = nowMs - this.heardAtMs;
    if (this.limitMs === 0 || excused || silentMs <= this.limitMs) return undefined;
    return new Fault("keepaliveTimeout", `silent for ${Math.round(silentMs)} ms`);
  }
}
