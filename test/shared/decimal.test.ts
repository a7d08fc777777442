import { decimalFromNumberToken, isDecimal, limits, parseJsonKeepingDigits } from "@equipoise/shared";
import fc from "fast-check";
import { test } from "tap";

test("a decimal is digits with an optional fraction and nothing else", async (t) => {
  for (const good of ["0", "0.00000000", "61837.63000000", "-1.5", "123456789012345678901234567890.1"]) {
    t.ok(isDecimal(good), good);
  }
  for (const bad of ["", "1.", ".5", "01", "1e5", "+1", " 1", "1 ", "NaN", "0x1", "1,5", "--1", 1, null]) {
    t.notOk(isDecimal(bad), String(bad));
  }
  t.ok(isDecimal("1".repeat(limits.maxDecimalLength)));
  t.notOk(isDecimal("1".repeat(limits.maxDecimalLength + 1)));
});

test("a number token keeps its digits; an exponent only moves the point", async (t) => {
  const moved: Record<string, string> = {
    "61837.630": "61837.630",
    "1e-7": "0.0000001",
    "1.50E+1": "15.0",
    "12.345e2": "1234.5",
    "12.345e3": "12345",
    "0.05e1": "0.5",
    "0e5": "0",
    "-2.5e-3": "-0.0025",
    "5e2": "500",
  };
  for (const [token, text] of Object.entries(moved)) t.equal(decimalFromNumberToken(token), text, token);
  for (const bad of ["", "abc", "1e400", "1e-400", "1e64", "e5", "1e"]) {
    t.equal(decimalFromNumberToken(bad), undefined, bad);
  }
});

test("whatever number JSON can write, its decimal is the same number", async (t) => {
  fc.assert(
    fc.property(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer({ min: 0, max: 12 }),
      (value, digits) => {
        for (const token of [JSON.stringify(value), value.toExponential(digits)]) {
          const text = decimalFromNumberToken(token);
          if (text === undefined) continue;
          if (!isDecimal(text) || Number(text) !== Number(token)) throw new Error(`${token} became ${text}`);
        }
      },
    ),
  );
  t.pass();
});

test("JSON is read without a float in between", async (t) => {
  const digits = "0.1000000000000000055511151231257827021181583404541015625";
  t.same(parseJsonKeepingDigits(`{"p":${digits},"q":[1e-7,"x",true,null]}`), {
    p: digits,
    q: ["1e-7", "x", true, null],
  });
  t.throws(() => parseJsonKeepingDigits("{"), SyntaxError);
});
