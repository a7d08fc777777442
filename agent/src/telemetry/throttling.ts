/** Whether a Raspberry Pi is slowed down by heat or a weak power supply. */
import { readFile } from "node:fs/promises";
import type { Throttle } from "@equipoise/shared";

/** Of the firmware; elsewhere there is none. */
const path = "/sys/devices/platform/soc/soc:firmware/get_throttled";

/** In the order of their bits; the same again from bit 16 on, for any time since the start. */
const throttles: readonly Throttle[] = [
  "underVoltage",
  "frequencyCapped",
  "throttled",
  "softTemperatureLimit",
];

export interface Throttling {
  now: Throttle[];
  ever: Throttle[];
}

/** @throws the system's error where the device is no Pi */
export async function readThrottling(): Promise<Throttling> {
  return parseThrottling(await readFile(path, "utf8"));
}

/** @param text a hexadecimal number; see https://www.raspberrypi.com/documentation/computers/os.html#get_throttled */
export function parseThrottling(text: string): Throttling {
  const bits = Number.parseInt(text.trim().replace(/^0x/, ""), 16);
  const set = (from: number): Throttle[] => throttles.filter((_, at) => (bits >>> (from + at)) & 1);
  return { now: set(0), ever: set(16) };
}
