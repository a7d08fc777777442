import { always, common } from "./common.ts";

/**
 * Notes what is settled. KEYS: of each stream: itself, its state, the hash of its queue's shards. ARGV of each stream:
 * its shard and the owner's mark, which is empty where there is no order; number of entries that are done, of each: id,
 * messages, bytes, 1 if something is noted of it; number of entries that are partly settled, of each: id, messages,
 * bytes, bitmap of what is unsettled. Bitmaps are combined: whatever any broker has settled is settled. Whoever does not
 * own the shard any more is refused. Returns for each stream its queue's bytes and messages, and how many entries were
 * refused.
 */
export const settle = `${always}${common}
local function both(a, b)
  local bytes, empty = {}, true
  for at = 1, #b do
    local left = bit.band(string.byte(a, at), string.byte(b, at))
    if left ~= 0 then empty = false end
    bytes[at] = string.char(left)
  end
  return table.concat(bytes), empty
end

local function holds(stream, id)
  local held = redis.pcall('XPENDING', stream, group, id, id, 1)
  return not held.err and #held > 0
end

local reply, at = {}, 1
for key = 1, #KEYS, 3 do
  local stream, state = KEYS[key], KEYS[key + 1]
  local ordered = ARGV[at + 1] ~= ''
  local owned = not ordered or redis.call('HGET', KEYS[key + 2], 'l' .. ARGV[at]) == ARGV[at + 1]
  local done = tonumber(ARGV[at + 2])
  at = at + 3
  local entries = {}
  for n = 1, owned and done or 0 do
    local from = at + 4 * (n - 1)
    local messages, bytes = tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2])
    entries[n] = { id = ARGV[from], messages = messages, bytes = bytes, noted = ARGV[from + 3] == '1' }
  end
  at = at + 4 * done
  forget_all(stream, state, entries, ordered)
  local part = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, part do
    local id = ARGV[at]
    if owned and (ordered or holds(stream, id)) then
      local known = redis.call('HGET', state, 'u' .. id)
      local left, empty = both(known or ARGV[at + 3], ARGV[at + 3])
      if empty then forget(stream, state, id, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), true)
      else redis.call('HSET', state, 'u' .. id, left) end
    end
    at = at + 4
  end
  local bytes, messages = totals(state)
  reply[#reply + 1] = { bytes, messages, owned and 0 or done + part }
end
return reply
`;

/**
 * Notes the failed attempts of an entry, if the broker has it still. KEYS: stream, state. ARGV: broker, id, attempts.
 */
export const attempt = `${always}${common}
local held = redis.pcall('XPENDING', KEYS[1], group, ARGV[2], ARGV[2], 1, ARGV[1])
if held.err or #held == 0 then return 0 end
redis.call('HSET', KEYS[2], 'f' .. ARGV[2], ARGV[3])
return 1
`;
