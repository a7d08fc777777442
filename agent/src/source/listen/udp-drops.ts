/** How many datagrams Linux has dropped because a socket's buffer was full. */
import { readFile } from "node:fs/promises";
import { type AddressInfo, isIPv6 } from "node:net";
import { systemCode } from "@equipoise/shared";

/** Since the socket was bound; undefined where the system does not tell, as elsewhere than on Linux. */
export async function droppedDatagrams({ address, port }: AddressInfo): Promise<number | undefined> {
  const table = await tableOf(isIPv6(address) ? "/proc/net/udp6" : "/proc/net/udp");
  const local = `${hexAddress(address)}:${hex(port, 2)}`;
  for (const line of table.split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === local) return Number(fields.at(-1));
  }
  return undefined;
}

async function tableOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return "";
  }
}

/** Words of four bytes as this machine has them in memory; every one that Node has prebuilt binaries for is little-endian. */
function hexAddress(address: string): string {
  const bytes = isIPv6(address) ? ipv6Bytes(address) : address.split(".").map(Number);
  const words = Array.from({ length: bytes.length / 4 }, (_, word) => bytes.slice(word * 4, word * 4 + 4));
  return words.flatMap((word) => word.toReversed().map((byte) => hex(byte, 1))).join("");
}

function ipv6Bytes(address: string): number[] {
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

const hex = (value: number, bytes: number): string =>
  value
    .toString(16)
    .toUpperCase()
    .padStart(bytes * 2, "0");
