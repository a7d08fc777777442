/** Every venue, by the name that specifications and topics have. */
import { binance, binanceUsdm } from "./binance.ts";
import { bitstamp } from "./bitstamp.ts";
import { bybitLinear, bybitSpot } from "./bybit.ts";
import { coinbase } from "./coinbase.ts";
import { kraken } from "./kraken.ts";
import { okx } from "./okx.ts";
import type { Venue } from "./venue.ts";

const all = [binance, binanceUsdm, coinbase, kraken, bitstamp, okx, bybitSpot, bybitLinear];

export const venues: ReadonlyMap<string, Venue> = new Map(all.map((venue) => [venue.name, venue]));
