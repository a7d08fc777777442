/** A broker under measurement, as a process of its own that is started fresh for every round. */
export const subjectNames = [
  "memory",
  "disk",
  "cluster",
  "cluster_ordered",
  "round_robin",
  "mosquitto",
] as const;

/** Equipoise by its durability, or in memory with another strategy than its default, or with order by key, or mosquitto. */
export type SubjectName = (typeof subjectNames)[number];

export interface Subject {
  readonly name: SubjectName;
  readonly port: number;
  readonly pid: number;
  /** Of a cluster: its other brokers, and last its engine, which has no port for clients. */
  readonly others?: readonly { port?: number; pid: number }[];
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}
