/** Scripts by which brokers know of each other. */
import { always, common } from "./common.ts";

const forgetBroker = `
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
 * A broker says that it lives, and looks after the others: what a dead one holds is released.
 * KEYS: prefix of all keys. ARGV: broker, milliseconds after which it is dead. When nobody was heard of for as long, the
 * engine was away and not the brokers: then all get that time anew.
 * Returns 1 if the others have taken this broker for dead, those that it has found dead, and the registry's version.
 */
export const beat = `${always}${common}${forgetBroker}
local prefix, me, lifetime = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local quiet = now - tonumber(redis.call('GET', prefix .. 'beat') or '0') > lifetime
redis.call('SET', prefix .. 'beat', now)
local stranger = redis.call('SADD', prefix .. 'brokers', me)
redis.call('SET', prefix .. 'broker:' .. me, now, 'PX', lifetime)
local dead = {}
for _, other in ipairs(redis.call('SMEMBERS', prefix .. 'brokers')) do
  local alive = prefix .. 'broker:' .. other
  if quiet then redis.call('SET', alive, now, 'PX', lifetime, 'NX')
  elseif redis.call('EXISTS', alive) == 0 then
    dead[#dead + 1] = other
    for _, queue in ipairs(redis.call('HKEYS', prefix .. 'registry')) do
      if release(prefix .. 'queue:' .. queue, other) > 0 then
        redis.call('PUBLISH', prefix .. 'news', 'released ' .. queue)
      end
    end
    forget_broker(prefix, other)
  end
end
return { stranger, dead, tonumber(redis.call('GET', prefix .. 'version') or '0') }
`;

/** A broker ends: all that it holds is released. KEYS: prefix of all keys. ARGV: broker. */
export const leave = `${always}${common}${forgetBroker}
local prefix, me = KEYS[1], ARGV[1]
for _, queue in ipairs(redis.call('HKEYS', prefix .. 'registry')) do
  if release(prefix .. 'queue:' .. queue, me) > 0 then
    redis.call('PUBLISH', prefix .. 'news', 'released ' .. queue)
  end
end
redis.call('DEL', prefix .. 'broker:' .. me)
forget_broker(prefix, me)
return 1
`;
