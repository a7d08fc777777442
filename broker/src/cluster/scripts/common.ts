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

/** Also in an engine that is full: what settles and looks after brokers is what makes room. */
export const always = "#!lua flags=allow-oom\n";

/** Defines `end_session(prefix, client)`: a session goes in one step with its queue. */
export const endSession = `
local function end_session(prefix, client)
  local queue = '/' .. client
  redis.call('DEL', prefix .. 'queue:' .. queue, prefix .. 'state:' .. queue)
  redis.call('ZREM', prefix .. 'taken', queue)
  redis.call('HDEL', prefix .. 'waiting', queue)
  local known = redis.call('HDEL', prefix .. 'sessions', client) + redis.call('HDEL', prefix .. 'registry', queue)
  if known == 0 then return end
  redis.call('INCR', prefix .. 'version')
  redis.call('PUBLISH', prefix .. 'news', 'session ' .. client)
end
`;

export const common = `
local group, nobody = '${group}', 'released'

local function forget(stream, state, id, messages, bytes, noted)
  redis.call('XACK', stream, group, id)
  if noted then redis.call('HDEL', state, 'u' .. id, 'f' .. id) end
  if redis.call('XDEL', stream, id) == 0 then return end
  redis.call('HINCRBY', state, 'bytes', -bytes)
  redis.call('HINCRBY', state, 'messages', -messages)
end

local function forget_all(stream, state, entries, ordered)
  local bytes, messages, noted = 0, 0, { 'HDEL', state }
  local acknowledged = { 'XACK', stream, group }
  for _, entry in ipairs(entries) do
    acknowledged[#acknowledged + 1] = entry.id
    if entry.noted then
      noted[#noted + 1] = 'u' .. entry.id
      noted[#noted + 1] = 'f' .. entry.id
    end
    if redis.call('XDEL', stream, entry.id) == 1 then
      bytes = bytes + entry.bytes
      messages = messages + entry.messages
    end
  end
  if #entries > 0 and not ordered then redis.call(unpack(acknowledged)) end
  if #noted > 2 then redis.call(unpack(noted)) end
  if messages > 0 then
    redis.call('HINCRBY', state, 'bytes', -bytes)
    redis.call('HINCRBY', state, 'messages', -messages)
  end
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
