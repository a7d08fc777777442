/** Scripts that give entries of a queue to a broker, and back. */
import { maxEntryMessages } from "../entry.ts";
import { always, common } from "./common.ts";

/**
 * Takes entries over. KEYS: stream, state. ARGV: broker, ids.
 * Returns of each entry its id, its content, its bitmap and its failed attempts.
 */
export const claim = `${always}${common}
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
 * KEYS: stream, state, prefix of all keys. ARGV: broker, messages, 1 to look for released ones, most entries, queue, 1 to
 * be called when something comes, if there are no more new ones.
 * Returns 1 if there are no more new ones, 1 if there may be more released ones, and the entries as `claim` does. Refuses
 * with nothing who was taken for dead, and who does not have the client whose queue it is.
 */
export const take = `${always}${common}
local stream, state, prefix, me, queue = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[5]
local brokers, waiting = prefix .. 'brokers', prefix .. 'waiting'
local wanted, room, released, reply = tonumber(ARGV[2]), tonumber(ARGV[4]), 0, {}
if redis.call('SISMEMBER', brokers, me) == 0 then return false end
if string.sub(queue, 1, 1) == '/' and redis.call('HGET', prefix .. 'owners', string.sub(queue, 2)) ~= me then
  return false
end
local function claim(id)
  for _, entry in ipairs(redis.call('XCLAIM', stream, group, me, 0, id)) do
    local noted = redis.call('HMGET', state, 'u' .. entry[1], 'f' .. entry[1])
    reply[#reply + 1] = { entry[1], entry[2][2], noted[1], noted[2] }
    wanted = wanted - string.byte(entry[2][2], 2)
  end
  room = room - 1
end
if ARGV[3] == '1' then
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
if empty == 1 and ARGV[6] == '1' then
  local names = me
  for other in string.gmatch(redis.call('HGET', waiting, queue) or '', '%S+') do
    if other ~= me and redis.call('SISMEMBER', brokers, other) == 1 then names = names .. ' ' .. other end
  end
  redis.call('HSET', waiting, queue, names)
end
return { empty, released, reply }
`;

/** Gives back all that a broker holds of one queue. KEYS: stream. ARGV: broker, news channel, queue. */
export const giveBack = `${always}${common}
local released = release(KEYS[1], ARGV[1])
if released > 0 then redis.call('PUBLISH', ARGV[2], 'released ' .. ARGV[3]) end
return released
`;
