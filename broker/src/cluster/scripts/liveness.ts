/** Scripts by which brokers know of each other. */
import { always, common } from "./common.ts";

const forgetBroker = `
local function release_all(prefix, broker)
  for _, queue in ipairs(redis.call('HKEYS', prefix .. 'registry')) do
    if release(prefix .. 'queue:' .. queue, broker) > 0 then
      redis.call('PUBLISH', prefix .. 'news', 'released ' .. queue)
    end
  end
end

local function forget_broker(prefix, broker)
  redis.call('SREM', prefix .. 'brokers', broker)
  redis.call('DEL', prefix .. 'interest:' .. broker)
  redis.call('PUBLISH', prefix .. 'news', 'interest ' .. broker)
  local owners = redis.call('HGETALL', prefix .. 'owners')
  for at = 1, #owners, 2 do
    if owners[at + 1] == broker then
      redis.call('HDEL', prefix .. 'owners', owners[at])
      redis.call('PUBLISH', prefix .. 'news', 'left ' .. owners[at])
    end
  end
end
`;

/**
 * A broker says that it lives, and looks after the others: what a dead one holds is released. The wills of its clients
 * are the matter of whoever finds it dead, and when that one dies, too, of whoever finds that.
 * KEYS: prefix of all keys. ARGV: broker, milliseconds after which it is dead. When nobody was heard of for half as
 * long, the engine was away and not the brokers: then all get that time anew, also those whose time ran out meanwhile,
 * but not more than three times in a row: a last broker that is slow itself must find the others dead, too.
 * Returns 1 if the others have taken this broker for dead, those that it has found dead, the registry's version, and
 * the dead brokers whose wills are to be published by this one.
 */
export const beat = `${always}${common}${forgetBroker}
local prefix, me, lifetime = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local quiet = now - tonumber(redis.call('GET', prefix .. 'beat') or '0') > lifetime / 2
if not quiet then redis.call('DEL', prefix .. 'quiet')
elseif redis.call('INCR', prefix .. 'quiet') > 3 then quiet = false end
redis.call('SET', prefix .. 'beat', now)
local stranger = redis.call('SADD', prefix .. 'brokers', me)
-- What a question of its own brought it that the engine answered after its death is nobody's.
if stranger == 1 then
  release_all(prefix, me)
  redis.call('HDEL', prefix .. 'heirs', me)
end
redis.call('SET', prefix .. 'broker:' .. me, now, 'PX', lifetime)
local dead = {}
for _, other in ipairs(redis.call('SMEMBERS', prefix .. 'brokers')) do
  local alive = prefix .. 'broker:' .. other
  if quiet then redis.call('SET', alive, now, 'PX', lifetime)
  elseif redis.call('EXISTS', alive) == 0 then
    dead[#dead + 1] = other
    release_all(prefix, other)
    forget_broker(prefix, other)
    if redis.call('EXISTS', prefix .. 'wills:' .. other) == 1 then redis.call('HSET', prefix .. 'heirs', other, me) end
  end
end
local estates, heirs = {}, redis.call('HGETALL', prefix .. 'heirs')
for at = 1, #heirs, 2 do
  local heir = heirs[at + 1]
  if redis.call('SISMEMBER', prefix .. 'brokers', heir) == 0 then
    heir = me
    redis.call('HSET', prefix .. 'heirs', heirs[at], me)
  end
  if heir == me then estates[#estates + 1] = heirs[at] end
end
return { stranger, dead, tonumber(redis.call('GET', prefix .. 'version') or '0'), estates }
`;

/**
 * Wills of a dead broker's clients are published. KEYS: prefix of all keys. ARGV: broker, the dead one, clients. Alters
 * nothing when they are not this broker's matter any more, because the dead one has come back.
 */
export const execute = `${always}
local prefix, me, dead = KEYS[1], ARGV[1], ARGV[2]
if redis.call('HGET', prefix .. 'heirs', dead) ~= me then return 0 end
for at = 3, #ARGV do redis.call('HDEL', prefix .. 'wills:' .. dead, ARGV[at]) end
if redis.call('EXISTS', prefix .. 'wills:' .. dead) == 0 then redis.call('HDEL', prefix .. 'heirs', dead) end
return 1
`;

/** A broker ends: all that it holds is released. KEYS: prefix of all keys. ARGV: broker. */
export const leave = `${always}${common}${forgetBroker}
local prefix, me = KEYS[1], ARGV[1]
release_all(prefix, me)
redis.call('DEL', prefix .. 'broker:' .. me)
forget_broker(prefix, me)
return 1
`;
