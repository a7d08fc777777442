/** What happens in the engine as one step when brokers tell each other of themselves and of their clients. */
import { always, endSession } from "./common.ts";

/** Keeps the last message of a topic. KEYS: retained messages, channel. ARGV: topic, the news, the frame unless it goes. */
export const retain = `
if ARGV[3] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
else redis.call('HDEL', KEYS[1], ARGV[1]) end
redis.call('PUBLISH', KEYS[2], ARGV[2])
return 1
`;

/**
 * Notes the filters that a broker's subscribers have. KEYS: its set of them, news channel.
 * ARGV: broker, 1 to begin anew, number of filters that are new, these, those that are no more.
 */
export const want = `${always}
if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) end
for at = 4, #ARGV do
  redis.call(at < 4 + tonumber(ARGV[3]) and 'SADD' or 'SREM', KEYS[1], ARGV[at])
end
redis.call('PUBLISH', KEYS[2], 'interest ' .. ARGV[1])
return 1
`;

/**
 * Clients are connected to a broker: they are its own if no other has them. KEYS: prefix of all keys. ARGV: broker,
 * clients. Returns those that another broker has.
 */
export const confirm = `${always}
local prefix, me, elsewhere = KEYS[1], ARGV[1], {}
for at = 2, #ARGV do
  local owner = redis.call('HGET', prefix .. 'owners', ARGV[at])
  if not owner then
    redis.call('HSET', prefix .. 'owners', ARGV[at], me)
    redis.call('PUBLISH', prefix .. 'news', 'owned ' .. me .. ' ' .. ARGV[at])
  elseif owner ~= me then elsewhere[#elsewhere + 1] = ARGV[at] end
end
return elsewhere
`;

/** Names the engine's content if it has no name yet. KEYS: the name. ARGV: one that nobody else gives. Returns the name. */
export const epoch = `${always}
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
`;

/**
 * Sessions that a broker knows, for an engine that was emptied. What it has heard since goes before.
 * KEYS: prefix of all keys. ARGV of each session: client, subscriptions.
 */
export const restore = `${always}
local prefix = KEYS[1]
for at = 1, #ARGV, 2 do
  if redis.call('HSETNX', prefix .. 'sessions', ARGV[at], ARGV[at + 1]) == 1 then
    redis.call('PUBLISH', prefix .. 'news', 'session ' .. ARGV[at])
  end
end
return 1
`;

/**
 * A session is over, and its queue with it, unless its client has connected to another broker: then who thought so is
 * told better.
 * KEYS: prefix of all keys. ARGV: broker, client.
 */
export const end = `${always}${endSession}
local prefix, me, client = KEYS[1], ARGV[1], ARGV[2]
local owner = redis.call('HGET', prefix .. 'owners', client)
if owner and owner ~= me then
  redis.call('PUBLISH', prefix .. 'news', 'session ' .. client)
  return 0
end
redis.call('HDEL', prefix .. 'owners', client)
end_session(prefix, client)
return 1
`;

/**
 * A broker starts, if no other process of the same id lives. KEYS: prefix of all keys.
 * ARGV: broker, its id as it begins, milliseconds after which it is dead. Returns 1 if it may.
 */
export const enter = `${always}
local prefix, me, id = KEYS[1], ARGV[1], ARGV[2]
for _, other in ipairs(redis.call('SMEMBERS', prefix .. 'brokers')) do
  local same = other ~= me and string.sub(other, 1, #id) == id
  if same and redis.call('EXISTS', prefix .. 'broker:' .. other) == 1 then return 0 end
end
redis.call('SADD', prefix .. 'brokers', me)
redis.call('SET', prefix .. 'broker:' .. me, '0', 'PX', ARGV[3])
return 1
`;
