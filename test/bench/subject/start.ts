import { startCluster } from "./cluster.ts";
import { startEquipoise } from "./equipoise.ts";
import { type Bounds, startMosquittoSubject } from "./mosquitto.ts";
import type { Subject, SubjectName } from "./subject.ts";

/** Starts a fresh broker with empty data. */
export function startSubject(
  name: SubjectName,
  options: { profileDir?: string | undefined; bounds?: Bounds } = {},
): Promise<Subject> {
  if (name === "mosquitto") return startMosquittoSubject(options.bounds);
  if (name === "cluster" || name === "cluster_ordered") return startCluster(name, options.profileDir);
  if (name === "round_robin") return startEquipoise("memory", { ...options, strategy: name });
  return startEquipoise(name, options);
}

/** Starts a broker for some work and ends it afterwards. */
export async function onSubject<T>(
  name: SubjectName,
  options: { profileDir?: string | undefined },
  work: (subject: Subject) => Promise<T>,
): Promise<T> {
  const subject = await startSubject(name, options);
  try {
    return await work(subject);
  } finally {
    await subject.stop();
  }
}
