/** A benchmark: what is measured, on which subjects, and what of it is a row of the table. */
import type { Result } from "../load/load.ts";
import type { SubjectName } from "../subject/subject.ts";

/** One round's figures by name, units in the names. */
export type Figures = Readonly<Record<string, number>>;

export interface Row {
  /** Stays: recorded figures are found by it. */
  name: string;
  text: string;
  subject: SubjectName;
  figure: string;
  /** The figure is divided by mosquitto's of the same round. */
  ratio?: boolean;
  unit: string;
  better: "more" | "less";
  must?: number;
  aim?: number;
}

export interface MeasureOptions {
  /** The broker or the agent writes its CPU profile there. */
  profileDir?: string | undefined;
}

export interface Scenario {
  name: string;
  text: string;
  subjects: readonly SubjectName[];
  rounds: number;
  /** Takes long: only when it is asked for by name. */
  onRequest?: boolean;
  rows: readonly Row[];
  /** One round on one subject. @throws Error when messages are missing */
  measure(subject: SubjectName, options: MeasureOptions): Promise<Figures>;
}

/** A benchmark that loses or repeats messages has no result. */
export function requireAll({ expected, arrived, repeated }: Result): void {
  if (arrived !== expected) throw new Error(`${expected - arrived} of ${expected} messages are missing`);
  if (repeated > 0) throw new Error(`${repeated} messages came more than once`);
}
