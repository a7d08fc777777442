/** Scripts about which queues there are. */
import { always, common, group } from "./common.ts";

/** Seconds after which a queue that no broker says it has members for has none. */
const takenForS = 3;

/** In seconds with parts, or one that was told just now would seem to be a second ago. */
const now = `
local function now_s()
  local time = redis.call('TIME')
  return time[1] + time[2] / 1000000
end
`;

/** What is in force of a queue's layout: it changes only while the queue is empty and nobody takes from it. */
const layoutOf = `${now}
local function settled_layout(prefix, queue)
  local taken = now_s() - tonumber(redis.call('ZSCORE', prefix .. 'taken', queue) or '0') <= ${takenForS}
  local messages = tonumber(redis.call('HGET', prefix .. 'state:' .. queue, 'messages') or '0')
  local known = redis.call('HEXISTS', prefix .. 'registry', queue) == 1
  if not known or (messages <= 0 and not taken) then return nil end
  return redis.call('HGET', prefix .. 'layouts', queue) or ''
end
`;

/** All queues. KEYS: prefix of all keys. Returns of each its name, its record, and its layout if that is in force. */
export const registry = `${layoutOf}
local reply = {}
local pairs = redis.call('HGETALL', KEYS[1] .. 'registry')
for at = 1, #pairs, 2 do
  reply[#reply + 1] = { pairs[at], pairs[at + 1], settled_layout(KEYS[1], pairs[at]) or false }
end
return reply
`;

/**
 * Makes sure of a queue. KEYS: prefix of all keys. ARGV: queue, its record, 1 where the record goes before the one that
 * is there, its layout. Returns 0 when another layout is in force.
 */
export const open = `${always}${layoutOf}
local prefix, queue, layout = KEYS[1], ARGV[1], ARGV[4]
local stream, registry = prefix .. 'queue:' .. queue, prefix .. 'registry'
local before = settled_layout(prefix, queue)
if before and before ~= layout then return 0 end
local changed = not before and (redis.call('HGET', prefix .. 'layouts', queue) or '') ~= layout
if layout == '' then
  redis.call('HDEL', prefix .. 'layouts', queue)
  local made = redis.pcall('XGROUP', 'CREATE', stream, '${group}', '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP') then return made end
else
  redis.call('HSET', prefix .. 'layouts', queue, layout)
end
redis.call('ZADD', prefix .. 'taken', now_s(), queue)
local known = redis.call('HGET', registry, queue)
if not changed and (known == ARGV[2] or (known and ARGV[3] ~= '1')) then return 1 end
if not known or ARGV[3] == '1' then redis.call('HSET', registry, queue, ARGV[2]) end
redis.call('INCR', prefix .. 'version')
return 1
`;

/**
 * Looks after queues: says which of them have members here, ends those that have had none anywhere for too long (which
 * is not known earlier than that a queue has none, unless it is to end at once), and releases what brokers hold that are
 * dead: a blocked question may be answered after its broker's death.
 * KEYS: prefix of all keys. ARGV of each queue: name, what to do (taken, remove, empty), after how many seconds.
 * Returns of each queue: bytes, messages, 1 when it has members on any broker, 1 when it was ended.
 */
export const tend = `${always}${common}${now}
local prefix, now = KEYS[1], now_s()

local function clear(queue)
  local layout = redis.call('HGET', prefix .. 'layouts', queue)
  local shards = layout and tonumber(string.match(layout, '/(%d+)/') or '0') or 0
  for n = 0, shards - 1 do redis.call('DEL', prefix .. 'shards:' .. queue .. '#' .. n) end
  redis.call('DEL', prefix .. 'state:' .. queue)
end

local function release_late(queue)
  local consumers = redis.pcall('XINFO', 'CONSUMERS', prefix .. 'queue:' .. queue, group)
  if consumers.err then return end
  for _, each in ipairs(consumers) do
    local name = each[2]
    local dead = name ~= nobody and redis.call('SISMEMBER', prefix .. 'brokers', name) == 0
    if dead and release(prefix .. 'queue:' .. queue, name) > 0 then
      redis.call('PUBLISH', prefix .. 'news', 'released ' .. queue)
    end
  end
end

local reply = {}
for at = 1, #ARGV, 3 do
  local queue, what = ARGV[at], ARGV[at + 1]
  release_late(queue)
  if what == 'taken' then redis.call('ZADD', prefix .. 'taken', now, queue) end
  local since = now - tonumber(redis.call('ZSCORE', prefix .. 'taken', queue) or '0')
  local ended, after = 0, tonumber(ARGV[at + 2])
  if what ~= 'taken' and since >= after and (after == 0 or since > ${takenForS}) then
    ended = 1
    clear(queue)
    if what == 'empty' then
      redis.call('XTRIM', prefix .. 'queue:' .. queue, 'MAXLEN', 0)
      redis.call('ZADD', prefix .. 'taken', now, queue)
    else
      redis.call('DEL', prefix .. 'queue:' .. queue, prefix .. 'shards:' .. queue)
      redis.call('HDEL', prefix .. 'registry', queue)
      redis.call('HDEL', prefix .. 'layouts', queue)
      redis.call('HDEL', prefix .. 'waiting', queue)
      redis.call('ZREM', prefix .. 'taken', queue)
      redis.call('INCR', prefix .. 'version')
    end
  end
  local values = redis.call('HMGET', prefix .. 'state:' .. queue, 'bytes', 'messages')
  local taken = since <= ${takenForS} and ended == 0 and 1 or 0
  reply[#reply + 1] = { tonumber(values[1] or 0), tonumber(values[2] or 0), taken, ended }
end
return reply
`;
