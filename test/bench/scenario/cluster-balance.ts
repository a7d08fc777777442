/**
 * The same unequal members at one broker and spread over three, one of which has the publisher and no members, one the
 * slow member: what does it cost that brokers share without talking to each other?
 */
import { sumOf } from "../balance/completions.ts";
import { Stage } from "../balance/stage.ts";
import { startCluster } from "../subject/cluster.ts";
import { startSubject } from "../subject/start.ts";
import type { Subject, SubjectName } from "../subject/subject.ts";
import { completedPerSecond, latencies, offer, overload, runOffer, unequalMs } from "./balance.ts";
import type { Figures, MeasureOptions, Scenario } from "./scenario.ts";

const rate = 2_000;
/** Of each member, the broker that it is at: none at the publisher's, the slow one with a fast one. */
const spread = [1, 1, 2, 2];

/** The port of each member's broker; empty where all are at the publisher's. */
function portsOf({ port, others = [] }: Subject): number[] {
  const ports = [port, ...others.flatMap((other) => (other.port === undefined ? [] : [other.port]))];
  return ports.length === 1 ? [] : spread.map((at) => ports[at] as number);
}

async function measure(name: SubjectName, options: MeasureOptions): Promise<Figures> {
  const subject =
    name === "cluster"
      ? await startCluster("cluster", options.profileDir, 3)
      : await startSubject(name, options);
  const stage = new Stage(subject, unequalMs, portsOf(subject));
  try {
    await stage.start();
    await stage.join();
    const { run, figures } = await runOffer(stage, name, { ...offer, rate });
    const capacity = sumOf(unequalMs.map((ms) => 1_000 / ms));
    const most = await runOffer(stage, name, { ...offer, rate: overload * capacity });
    return { ...latencies(run), ...figures, perSecond: completedPerSecond(most.run) };
  } finally {
    await stage.stop();
  }
}

const p99 = { figure: "p99Ms", unit: "ms", better: "less" } as const;
const perSecond = { figure: "perSecond", unit: "msg/s", better: "more" } as const;
const text = "4 members, one of 10 ms";

export const clusterBalance: Scenario = {
  name: "cluster-balance",
  text: "2,000 msg/s, and more than they can do, to 3 members of 1 ms and one of 10 ms at two of three brokers",
  subjects: ["disk", "cluster"],
  rounds: 1,
  rows: [
    {
      name: "cluster-balance-p99",
      text: `${text}, over 3 brokers, completion p99`,
      subject: "cluster",
      ...p99,
    },
    {
      name: "cluster-balance-one-p99",
      text: `${text}, at one on disk, completion p99`,
      subject: "disk",
      ...p99,
    },
    {
      name: "cluster-balance-most",
      text: `${text}, over 3 brokers, at most`,
      subject: "cluster",
      ...perSecond,
    },
    {
      name: "cluster-balance-one-most",
      text: `${text}, at one on disk, at most`,
      subject: "disk",
      ...perSecond,
    },
  ],
  measure,
};
