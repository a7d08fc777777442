/**
 * A network of the test's own: each host is a network namespace, all are connected through a router, and packets between
 * two of them can be dropped without a word, as a broken link does. The test itself is a host, too. Needs root; nothing
 * of it is left afterwards.
 */
import { spawnSync } from "node:child_process";
import { skipUnless } from "./debian.ts";
import type { Teardown } from "./teardown.ts";

/** The name of the test's own host. */
export const here = "test";

export const skipWithoutNetworks: string | false = skipUnless("ip", "iproute2") || unlessRoot();

function unlessRoot(): string | false {
  const name = `eq-${process.pid}-probe`;
  const made = spawnSync("ip", ["netns", "add", name]).status === 0;
  if (made) spawnSync("ip", ["netns", "del", name]);
  if (made) return false;
  const reason = "SKIPPED: network namespaces need root (CAP_SYS_ADMIN and CAP_NET_ADMIN)";
  process.stderr.write(`\n*** ${reason}\n\n`);
  return reason;
}

/** The second bytes of addresses, unlikely to be in use on the machine. */
const nets = Array.from({ length: 128 }, (_, at) => 64 + ((process.pid + at) % 128));

let networks = 0;

export class Network {
  readonly #id: string;
  readonly #router: string;
  readonly #hosts = new Map<string, number>();
  /** The second byte of all addresses. */
  readonly #net: number;

  /** Makes the router and the test's own link to it. */
  constructor(t: Teardown) {
    removeLeftovers();
    this.#id = `eq-${process.pid}-${networks++}`;
    this.#router = `${this.#id}-r`;
    t.teardown(() => this.#remove());
    ip("netns", "add", this.#router);
    this.#enable("/proc/sys/net/ipv4/ip_forward");
    this.#net = claimNet();
    this.host(here);
  }

  /** Adds a host. */
  host(name: string): void {
    const number = this.#hosts.size + 1;
    this.#hosts.set(name, number);
    const [own, far] = linkNames(this.#net, number);
    const inside = name === here ? [] : ["-n", this.#name(name)];
    if (name !== here) ip("netns", "add", this.#name(name));
    // The test's own link is there since the addresses were claimed.
    if (name !== here) ip(...addLink(own, far));
    ip("link", "set", far, "netns", this.#router);
    if (name !== here) ip("link", "set", own, "netns", this.#name(name));
    ip(...inside, "addr", "add", `${this.address(name)}/24`, "dev", own);
    ip(...inside, "link", "set", own, "up");
    ip("-n", this.#router, "addr", "add", `10.${this.#net}.${number}.1/24`, "dev", far);
    ip("-n", this.#router, "link", "set", far, "up");
    const everything = name === here ? `10.${this.#net}.0.0/16` : "default";
    ip(...inside, "route", "replace", everything, "via", `10.${this.#net}.${number}.1`);
    if (name !== here) ip(...inside, "link", "set", "lo", "up");
  }

  address(name: string): string {
    const number = this.#hosts.get(name);
    if (number === undefined) throw new Error(`no host ${name}`);
    return `10.${this.#net}.${number}.2`;
  }

  /** What goes before a command that is to run on a host. */
  on(name: string): [string, ...string[]] {
    return ["ip", "netns", "exec", this.#name(name)];
  }

  /** From now on nothing of one reaches the other. */
  part(one: string, other: string): void {
    this.#rules("add", one, other);
  }

  heal(one: string, other: string): void {
    this.#rules("del", one, other);
  }

  #rules(what: "add" | "del", one: string, other: string): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const)
      ip("-n", this.#router, "rule", what, "from", this.address(from), "to", this.address(to), "blackhole");
  }

  #name(host: string): string {
    return `${this.#id}-${host}`;
  }

  #enable(path: string): void {
    const { status } = spawnSync("ip", ["netns", "exec", this.#router, "sh", "-c", `echo 1 > ${path}`]);
    if (status !== 0) throw new Error(`cannot write ${path}`);
  }

  /** The links go with the router. */
  #remove(): void {
    for (const host of this.#hosts.keys())
      if (host !== here) spawnSync("ip", ["netns", "del", this.#name(host)]);
    spawnSync("ip", ["netns", "del", this.#router]);
  }
}

function ip(...args: string[]): void {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}

const linkNames = (net: number, number: number): [own: string, far: string] => [
  `eq${net}v${number}`,
  `eq${net}w${number}`,
];

const addLink = (own: string, far: string): string[] => [
  ...["link", "add", own, "type", "veth", "peer", "name", far],
];

/** Makes the first link of a network whose addresses no other test uses at the same time: names of links are unique. */
function claimNet(): number {
  const net = nets.find((one) => spawnSync("ip", addLink(...linkNames(one, 1))).status === 0);
  if (net === undefined) throw new Error("no link can be made, or the addresses of all networks are in use");
  return net;
}

/** Of tests that were killed. */
function removeLeftovers(): void {
  const { stdout } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
  for (const [name, pid] of stdout.matchAll(/^eq-(\d+)-\S+/gm))
    if (spawnSync("kill", ["-0", pid as string]).status !== 0) spawnSync("ip", ["netns", "del", name]);
}
