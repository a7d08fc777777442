import { maxEntryMessages } from "./entry.ts";
import { knowledgeScripts } from "./knowledge-scripts.ts";
import { always, endSession } from "./lua.ts";

/**
 * What happens in the engine as one step. A queue is a stream with one consumer group and a hash beside it:
 * ```
 * queue:Q  entries { m: version, count, frames }; the group `pool` says which broker holds which entry
 * state:Q  bytes, messages: of all entries; u<id>: bitmap of what is unsettled in an entry; f<id>: its failed attempts
 * ```
 * Entries that nobody holds any more although they were handed out, because their broker died, stopped or has no member
 * for them, belong to the consumer `released` until a broker claims them.
 */

/** The consumer group of every queue. */
export const group = "pool";

const common = `
local group, nobody = '${group}', 'released'

local function forget(stream, state, id, messages, bytes, noted)
  redis.call('XACK', stream, group, id)
  if noted then redis.call('HDEL', state, 'u' .. id, 'f' .. id) end
  if redis.call('XDEL', stream, id) == 0 then return end
  redis.call('HINCRBY', state, 'bytes', -bytes)
  redis.call('HINCRBY', state, 'messages', -messages)
end

local function totals(state)
  local values = redis.call('HMGET', state, 'bytes', 'messages')
  return tonumber(values[1] or 0), tonumber(values[2] or 0)
end

local function release(stream, consumer)
  local released = 0
  repeat
    local pending = redis.pcall('XPENDING', stream, group, '-', '+', 500, consumer)
    if pending.err then return released end
    if #pending > 0 then
      local ids = {}
      for _, each in ipairs(pending) do ids[#ids + 1] = each[1] end
      ids[#ids + 1] = 'JUSTID'
      redis.call('XCLAIM', stream, group, nobody, 0, unpack(ids))
      released = released + #pending
    end
  until #pending < 500
  redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
  return released
end
`;

/**
 * Makes sure of a queue. KEYS: registry, version of the registry, when queues were taken from last, stream.
 * ARGV: queue, its record, 1 where the record goes before the one that is there.
 */
const open = `${always}
local group = '${group}'
local made = redis.pcall('XGROUP', 'CREATE', KEYS[4], group, '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP') then return made end
redis.call('ZADD', KEYS[3], redis.call('TIME')[1], ARGV[1])
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known == ARGV[2] or (known and ARGV[3] ~= '1') then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('INCR', KEYS[2])
return 1
`;

/**
 * Looks after queues: says which of them have members here, and ends those that have had none anywhere for too long.
 * KEYS: prefix of all keys. ARGV of each queue: name, what to do (taken, remove, empty), after how many seconds.
 * Returns of each queue: bytes, messages, 1 when it has members on any broker, 1 when it was ended.
 */
const tend = `${always}
local prefix = KEYS[1]
local now = tonumber(redis.call('TIME')[1])
local reply = {}
for at = 1, #ARGV, 3 do
  local queue, what = ARGV[at], ARGV[at + 1]
  if what == 'taken' then redis.call('ZADD', prefix .. 'taken', now, queue) end
  local since = now - tonumber(redis.call('ZSCORE', prefix .. 'taken', queue) or '0')
  local ended = 0
  if what ~= 'taken' and since >= tonumber(ARGV[at + 2]) then
    ended = 1
    if what == 'empty' then
      redis.call('XTRIM', prefix .. 'queue:' .. queue, 'MAXLEN', 0)
      redis.call('DEL', prefix .. 'state:' .. queue)
      redis.call('ZADD', prefix .. 'taken', now, queue)
    else
      redis.call('DEL', prefix .. 'queue:' .. queue, prefix .. 'state:' .. queue)
      redis.call('HDEL', prefix .. 'registry', queue)
      redis.call('ZREM', prefix .. 'taken', queue)
      redis.call('INCR', prefix .. 'version')
    end
  end
  local values = redis.call('HMGET', prefix .. 'state:' .. queue, 'bytes', 'messages')
  local taken = since <= 3 and ended == 0 and 1 or 0
  reply[#reply + 1] = { tonumber(values[1] or 0), tonumber(values[2] or 0), taken, ended }
end
return reply
`;

/**
 * Stores a batch, once however often it is sent. KEYS: appended, registry, then stream and state of each queue.
 * ARGV: batch number, milliseconds for which it is known, then of each queue: name, bytes at which the oldest are dropped or -1, number of entries,
 * the entries. With -2 the stream is the channel of another broker, for those who listen now. Returns for each queue its bytes, its messages and how many were dropped; nothing for one that is gone.
 */
const append = `${common}
local function drop(stream, state, bytes, most)
  local last
  for _, each in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    for at = 1, #each, 2 do if each[at] == 'last-delivered-id' then last = each[at + 1] end end
  end
  local dropped = 0
  while bytes > most do
    local oldest = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)[1]
    if not oldest then break end
    local frames = oldest[2][2]
    bytes = bytes - #frames
    dropped = dropped + string.byte(frames, 2)
    forget(stream, state, oldest[1], string.byte(frames, 2), #frames, false)
  end
  return dropped
end

local fresh = tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1])
if fresh then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
local reply, at = {}, 3
for key = 3, #KEYS, 2 do
  local stream, state = KEYS[key], KEYS[key + 1]
  local most, count = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if most == -2 then
    for entry = at + 3, at + 2 + count do
      if fresh then redis.call('PUBLISH', stream, ARGV[entry]) end
    end
    reply[#reply + 1] = false
  elseif redis.call('HEXISTS', KEYS[2], ARGV[at]) == 0 then
    reply[#reply + 1] = false
  else
    local bytes, messages, dropped = 0, 0, 0
    if fresh then
      for entry = at + 3, at + 2 + count do
        redis.call('XADD', stream, '*', 'm', ARGV[entry])
        bytes = bytes + #ARGV[entry]
        messages = messages + string.byte(ARGV[entry], 2)
      end
    end
    bytes = redis.call('HINCRBY', state, 'bytes', bytes)
    messages = redis.call('HINCRBY', state, 'messages', messages)
    if most >= 0 and bytes > most then
      dropped = drop(stream, state, bytes, most)
      bytes, messages = totals(state)
    end
    reply[#reply + 1] = { bytes, messages, dropped }
  end
  at = at + 3 + count
end
return reply
`;

/**
 * Notes what is settled. KEYS: stream and state of each queue. ARGV of each queue: number of entries that are done, of
 * each: id, messages, bytes, 1 if something is noted of it; number of entries that are partly settled, of each: id,
 * messages, bytes, bitmap of what is unsettled. Bitmaps are combined: whatever any broker has settled is settled.
 * Returns for each queue its bytes and messages.
 */
const settle = `${always}${common}
local function both(a, b)
  local bytes, empty = {}, true
  for at = 1, #b do
    local left = bit.band(string.byte(a, at), string.byte(b, at))
    if left ~= 0 then empty = false end
    bytes[at] = string.char(left)
  end
  return table.concat(bytes), empty
end

local reply, at = {}, 1
for key = 1, #KEYS, 2 do
  local stream, state = KEYS[key], KEYS[key + 1]
  local done = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, done do
    forget(stream, state, ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3] == '1')
    at = at + 4
  end
  local part = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, part do
    local id = ARGV[at]
    local held = redis.pcall('XPENDING', stream, group, id, id, 1)
    if not held.err and #held > 0 then
      local known = redis.call('HGET', state, 'u' .. id)
      local left, empty = both(known or ARGV[at + 3], ARGV[at + 3])
      if empty then forget(stream, state, id, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), true)
      else redis.call('HSET', state, 'u' .. id, left) end
    end
    at = at + 4
  end
  local bytes, messages = totals(state)
  reply[#reply + 1] = { bytes, messages }
end
return reply
`;

/**
 * Notes the failed attempts of an entry, if the broker has it still. KEYS: stream, state. ARGV: broker, id, attempts.
 */
const attempt = `${always}${common}
local held = redis.pcall('XPENDING', KEYS[1], group, ARGV[2], ARGV[2], 1, ARGV[1])
if held.err or #held == 0 then return 0 end
redis.call('HSET', KEYS[2], 'f' .. ARGV[2], ARGV[3])
return 1
`;

/**
 * Takes entries over. KEYS: stream, state. ARGV: broker, ids.
 * Returns of each entry its id, its content, its bitmap and its failed attempts.
 */
const claim = `${always}${common}
local ids = {}
for at = 2, #ARGV do ids[#ids + 1] = ARGV[at] end
local reply = {}
for _, entry in ipairs(redis.call('XCLAIM', KEYS[1], group, ARGV[1], 0, unpack(ids))) do
  local noted = redis.call('HMGET', KEYS[2], 'u' .. entry[1], 'f' .. entry[1])
  reply[#reply + 1] = { entry[1], entry[2][2], noted[1], noted[2] }
end
return reply
`;

/**
 * Takes entries until they have as many messages as are wanted: released ones, which are older, then new ones.
 * KEYS: stream, state. ARGV: broker, messages, 1 to look for released ones, 2 to take what any other broker holds, most
 * entries.
 * Returns 1 if there are no more new ones, 1 if there may be more released ones, and the entries as `claim` does.
 */
const take = `${always}${common}
local stream, state, me = KEYS[1], KEYS[2], ARGV[1]
local wanted, room, released, reply = tonumber(ARGV[2]), tonumber(ARGV[4]), 0, {}
local function claim(id)
  for _, entry in ipairs(redis.call('XCLAIM', stream, group, me, 0, id)) do
    local noted = redis.call('HMGET', state, 'u' .. entry[1], 'f' .. entry[1])
    reply[#reply + 1] = { entry[1], entry[2][2], noted[1], noted[2] }
    wanted = wanted - string.byte(entry[2][2], 2)
  end
  room = room - 1
end
if ARGV[3] == '2' then
  for _, pending in ipairs(redis.call('XPENDING', stream, group, '-', '+', 1000)) do
    if pending[2] ~= me then
      if wanted <= 0 or room <= 0 then
        released = 1
        break
      end
      claim(pending[1])
    end
  end
elseif ARGV[3] == '1' then
  released = 1
  while wanted > 0 and room > 0 do
    local oldest = redis.call('XPENDING', stream, group, '-', '+', 1, nobody)[1]
    if not oldest then
      released = 0
      break
    end
    claim(oldest[1])
  end
end
local empty = 0
while wanted > 0 and room > 0 and empty == 0 do
  local count = math.min(room, math.max(1, math.floor(wanted / ${maxEntryMessages})))
  local read = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', count, 'STREAMS', stream, '>')
  local entries = read and read[1][2] or {}
  if #entries < count then empty = 1 end
  for _, entry in ipairs(entries) do
    reply[#reply + 1] = { entry[1], entry[2][2], false, false }
    wanted = wanted - string.byte(entry[2][2], 2)
  end
  room = room - count
end
return { empty, released, reply }
`;

/** Gives back all that a broker holds of one queue. KEYS: stream. ARGV: broker, news channel, queue. */
const giveBack = `${always}${common}
local released = release(KEYS[1], ARGV[1])
if released > 0 then redis.call('PUBLISH', ARGV[2], 'released ' .. ARGV[3]) end
return released
`;

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
 * A client connects: its session is this broker's from now on, and what another broker holds of its queue is released.
 * KEYS: prefix of all keys. ARGV: broker, client, 1 for a clean session.
 * Returns 1 if another broker had it last, and the kept session, if there is one.
 */
const own = `${always}${common}${endSession}
local prefix, me, client = KEYS[1], ARGV[1], ARGV[2]
local owner = redis.call('HGET', prefix .. 'owners', client)
redis.call('HSET', prefix .. 'owners', client, me)
local moved = owner and owner ~= me and 1 or 0
if moved == 1 then release(prefix .. 'queue:/' .. client, owner) end
redis.call('PUBLISH', prefix .. 'news', 'owned ' .. me .. ' ' .. client)
if ARGV[3] ~= '1' then return { moved, redis.call('HGET', prefix .. 'sessions', client) } end
end_session(prefix, client)
return { moved, false }
`;

/**
 * A client has gone. KEYS: prefix of all keys. ARGV: broker, client, 1 for a clean session. The queue of another one
 * stays with the broker that had it last, until the client comes back somewhere.
 */
const disown = `${always}
local prefix = KEYS[1]
if redis.call('HGET', prefix .. 'owners', ARGV[2]) ~= ARGV[1] then return 0 end
if ARGV[3] == '1' then redis.call('HDEL', prefix .. 'owners', ARGV[2])
else redis.call('PUBLISH', prefix .. 'news', 'left ' .. ARGV[2]) end
return 1
`;

/**
 * A broker says that it lives, and looks after the others: what a dead one holds is released.
 * KEYS: prefix of all keys. ARGV: broker, milliseconds after which it is dead. When nobody was heard of for as long, the
 * engine was away and not the brokers: then all get that time anew.
 * Returns 1 if the others have taken this broker for dead, those that it has found dead, and the registry's version.
 */
const beat = `${always}${common}${forgetBroker}
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
const leave = `${always}${common}${forgetBroker}
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

export const scripts = {
  open,
  tend,
  append,
  settle,
  attempt,
  claim,
  take,
  giveBack,
  own,
  disown,
  beat,
  leave,
  ...knowledgeScripts,
} as const;
export type ScriptName = keyof typeof scripts;
