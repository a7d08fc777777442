import { startEquipoise } from "./equipoise.ts";
import { startMosquittoSubject } from "./mosquitto.ts";
import type { Subject, SubjectName } from "./subject.ts";

/** Starts a fresh broker with empty data. */
export function startSubject(
  name: SubjectName,
  options: { profileDir?: string | undefined } = {},
): Promise<Subject> {
  return name === "mosquitto" ? startMosquittoSubject() : startEquipoise(name, options);
}
