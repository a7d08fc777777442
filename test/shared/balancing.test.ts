import { isDeepStrictEqual } from "node:util";
import { EquipoiseError, limits } from "@equipoise/shared";
import {
  type BalancingRules,
  balancingFormatOf,
  balancingFormats,
  decodeBalancing,
  encodeBalancing,
} from "@equipoise/shared/balancing";
import fc from "fast-check";
import { test } from "tap";
import { strategyNames } from "../../broker/src/strategy/index.ts";

const name = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
  .filter((text) => text.length <= 128);
const weight = fc.double({ min: 0, max: limits.maxWeight, noNaN: true });
const health = fc.constantFrom("HEALTHY", "DEGRADED", "UNHEALTHY");
const member = fc.record(
  { clientId: name, weight, health },
  { requiredKeys: ["clientId"], noNullPrototype: true },
);
const rules = fc.record(
  {
    pool: name.filter((text) => !/[+#/]/.test(text)),
    strategy: fc.constantFrom(...strategyNames),
    members: fc.uniqueArray(member, { selector: ({ clientId }) => clientId, maxLength: 20 }),
  },
  { requiredKeys: ["pool", "members"], noNullPrototype: true },
) as fc.Arbitrary<BalancingRules>;

/** The one line of a refusal. */
function refusal(content: string | number[] | Uint8Array): string {
  try {
    decodeBalancing(Buffer.from(content as Uint8Array));
  } catch (error) {
    if (error instanceof EquipoiseError && error.code === "EQ_CONFIG_BALANCING") return error.message;
    throw error;
  }
  return "accepted";
}

const withInstance = (fields: string): string =>
  `{"serviceName":"p","instances":[{"instanceId":"a",${fields}}]}`;

test("rules come back from both formats as they were, and the first byte tells the format", async (t) => {
  const comesBack = fc.property(rules, fc.constantFrom(...balancingFormats), (given, format) => {
    const content = encodeBalancing(given, format);
    const same = isDeepStrictEqual(decodeBalancing(content), given);
    return same && balancingFormatOf(content) === format;
  });
  t.doesNotThrow(() => fc.assert(comesBack));
});

test("any bytes are rules or refused with the code, never another error", async (t) => {
  const judged = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    refusal(bytes);
    refusal(Buffer.concat([Buffer.from("{"), bytes]));
  });
  t.doesNotThrow(() => fc.assert(judged));
});

test("what the schema does not have is refused by its name", async (t) => {
  const unknown: [content: string | number[], said: RegExp][] = [
    ['{"serviceName":"p","wait":1}', /LoadBalancingConfiguration .*"wait" is unknown/],
    [withInstance('"wieght":1'), /Instance .*"wieght" is unknown/],
    ['{"serviceName":"p","strategy":"FASTEST"}', /Strategy .*"FASTEST"/],
    ['{"serviceName":"p","strategy":17}', /^strategy: there is no value 17$/],
    [withInstance('"health":"ILL"'), /Health .*"ILL"/],
    [[0x0a, 1, 0x70, 0x48, 1], /LoadBalancingConfiguration has no field with the number 9/],
    [[0x0a, 1, 0x70, 0x1a, 5, 0x0a, 1, 0x61, 0x48, 1], /Instance has no field with the number 9/],
    [[0x0a, 1, 0x70, 0x10, 99], /^strategy: there is no value 99$/],
  ];
  for (const [content, said] of unknown) t.match(refusal(content), said);
});

test("bad values are refused with their place", async (t) => {
  const long = "x".repeat(limits.maxIdLength + 1);
  const bad: [content: string | number[], said: RegExp][] = [
    ["", /^serviceName: must have 1 to 128 characters/],
    ['{"serviceName":"a/b"}', /^serviceName: must not contain/],
    [`{"serviceName":"${long}"}`, /^serviceName: must have/],
    [withInstance('"weight":-1'), /^instances\[0\]\.weight: must be a number from 0 to 1000000/],
    [withInstance('"weight":"NaN"'), /^instances\[0\]\.weight: must be/],
    [withInstance('"weight":1000001'), /^instances\[0\]\.weight: must be/],
    [withInstance('"weight":"much"'), /Instance\.weight .*"much"/],
    ['{"serviceName":"p","instances":[{}]}', /^instances\[0\]\.instanceId: must have/],
    [
      '{"serviceName":"p","instances":[{"instanceId":"a"},{"instanceId":"a"}]}',
      /^instances: each instanceId must differ/,
    ],
    ['{"serviceName":"p"', /JSON at position/],
    [[0x0a, 5, 0x70], /premature EOF/],
    [[0x0a, 1, 0xff], /utf-8/i],
  ];
  for (const [content, said] of bad) t.match(refusal(content), said);
  t.ok(refusal(`{"${"x".repeat(5_000)}":1}`).length <= 300, "a reason does not quote without end");
});

test("size and number of instances are bounded, when read and when written", async (t) => {
  const members = Array.from({ length: limits.maxBalancingInstances + 1 }, (_, at) => ({
    clientId: `m${at}`,
  }));
  t.throws(() => encodeBalancing({ pool: "p", members }, "binary"), /instances: must be at most 10000/);
  t.match(refusal(`{"serviceName":"p"}${" ".repeat(limits.maxBalancingBytes)}`), /more than 1048576 bytes/);
  members.pop();
  const content = encodeBalancing({ pool: "p", members }, "binary");
  t.equal(decodeBalancing(content).members.length, limits.maxBalancingInstances);
});
