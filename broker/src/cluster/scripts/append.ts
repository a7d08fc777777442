import { common } from "./common.ts";

/** Functions of `append` that are about ordered queues; their streams are those of `shards.ts`. */
const ordered = `
local function parts(id)
  local ms, number = string.match(id, '(%d+)-(%d+)')
  return tonumber(ms), tonumber(number)
end

local function older(a, b)
  local ma, na = parts(a)
  local mb, nb = parts(b)
  return ma < mb or (ma == mb and na < nb)
end

-- Ids as Redis makes them, but for all shards together.
local function ids(state)
  local time = redis.call('TIME')
  local ms, number = parts(redis.call('HGET', state, 'last') or '0-0')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if now > ms then ms, number = now, -1 end
  return function()
    number = number + 1
    return string.format('%.0f-%.0f', ms, number)
  end
end

local function store_ordered(hash, state, queue, from, count)
  local next, last, touched = ids(state), nil, {}
  for at = from, from + 2 * (count - 1), 2 do
    last = next()
    redis.call('XADD', hash .. '#' .. ARGV[at], last, 'm', ARGV[at + 1])
    touched[ARGV[at]] = true
  end
  if last then redis.call('HSET', state, 'last', last) end
  local called = {}
  for n in pairs(touched) do
    if redis.call('HDEL', hash, 'h' .. n) == 1 then
      local owner = string.match(redis.call('HGET', hash, 'l' .. n) or '', ' (.*)$')
      if owner and not called[owner] then
        called[owner] = true
        redis.call('PUBLISH', KEYS[3] .. owner, queue)
      end
    end
  end
end

local function drop_ordered(hash, state, layout, bytes, most)
  local heads, dropped = {}, 0
  local function look(n, after)
    local entry = redis.call('XRANGE', hash .. '#' .. n, '(' .. after, '+', 'COUNT', 1)[1]
    heads[n] = entry and { n = n, id = entry[1], frames = entry[2][2] } or nil
  end
  for n = 0, tonumber(string.match(layout, '/(%d+)/')) - 1 do
    look(n, redis.call('HGET', hash, 'c' .. n) or '0-0')
  end
  while bytes > most do
    local oldest
    for _, head in pairs(heads) do
      if not oldest or older(head.id, oldest.id) then oldest = head end
    end
    if not oldest then break end
    bytes = bytes - #oldest.frames
    dropped = dropped + string.byte(oldest.frames, 2)
    forget(hash .. '#' .. oldest.n, state, oldest.id, string.byte(oldest.frames, 2), #oldest.frames, false)
    look(oldest.n, oldest.id)
  end
  return dropped
end
`;

/**
 * Stores a batch, once however often it is sent. KEYS: appended, registry, what channels that call brokers begin with,
 * layouts, who waits, brokers, then of each queue its stream, or the hash of its shards where it is ordered, and its
 * state. ARGV: batch number, milliseconds for which it is known, broker, then of each queue: name, bytes at which the
 * oldest are dropped or -1, layout, messages that the broker takes at once, number of entries, the entries, each behind
 * its shard where there are any. With -2 the stream is the channel of another broker, for those who listen now. Refuses
 * the batch when a layout is not the one in force. Returns for each queue its bytes, its messages, how many were dropped,
 * and the entries that the broker has taken; nothing for one that is gone.
 */
export const append = `${common}${ordered}
local function last_delivered(stream)
  local last
  for _, each in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    for at = 1, #each, 2 do if each[at] == 'last-delivered-id' then last = each[at + 1] end end
  end
  return last
end

local function drop(stream, state, bytes, most)
  local last = last_delivered(stream)
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

-- Who found it empty, and is not watching it.
local function call(queue)
  local waiting = redis.call('HGET', KEYS[5], queue)
  if not waiting then return end
  redis.call('HDEL', KEYS[5], queue)
  for broker in string.gmatch(waiting, '%S+') do redis.call('PUBLISH', KEYS[3] .. broker, queue) end
end

-- The oldest ones first, whoever has stored them, so that nothing is overtaken; and never more than was asked for.
local function take_at_once(stream, wanted)
  local taken, me = {}, ARGV[3]
  local last = wanted > 0 and redis.call('SISMEMBER', KEYS[6], me) == 1 and last_delivered(stream)
  while last do
    local oldest = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)[1]
    wanted = wanted - (oldest and string.byte(oldest[2][2], 2) or wanted + 1)
    if wanted < 0 then break end
    redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', 1, 'STREAMS', stream, '>')
    taken[#taken + 1] = { oldest[1], oldest[2][2] }
    last = oldest[1]
  end
  return taken
end

local queues, at = {}, 4
for key = 7, #KEYS, 2 do
  local queue = { name = ARGV[at], most = tonumber(ARGV[at + 1]), layout = ARGV[at + 2] }
  queue.stream, queue.state, queue.count = KEYS[key], KEYS[key + 1], tonumber(ARGV[at + 4])
  queue.at_once = tonumber(ARGV[at + 3])
  queue.from, queue.width = at + 5, queue.layout == '' and 1 or 2
  at = queue.from + queue.count * queue.width
  if queue.most ~= -2 then
    queue.known = redis.call('HEXISTS', KEYS[2], queue.name) == 1
    if queue.known and (redis.call('HGET', KEYS[4], queue.name) or '') ~= queue.layout then
      return redis.error_reply('LAYOUT of ' .. queue.name .. ' is not ' .. queue.layout)
    end
  end
  queues[#queues + 1] = queue
end

local fresh = tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1])
if fresh then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
local reply = {}
for _, queue in ipairs(queues) do
  local stream, state, from, most = queue.stream, queue.state, queue.from, queue.most
  if most == -2 then
    for entry = from, from + queue.count - 1 do
      if fresh then redis.call('PUBLISH', stream, ARGV[entry]) end
    end
    reply[#reply + 1] = false
  elseif not queue.known then
    reply[#reply + 1] = false
  else
    local bytes, messages, dropped, taken = 0, 0, 0, {}
    if fresh then
      for entry = from + queue.width - 1, from + queue.count * queue.width - 1, queue.width do
        if queue.width == 1 then redis.call('XADD', stream, '*', 'm', ARGV[entry]) end
        bytes = bytes + #ARGV[entry]
        messages = messages + string.byte(ARGV[entry], 2)
      end
      if queue.width == 2 then store_ordered(stream, state, queue.name, from, queue.count)
      else call(queue.name) end
    end
    bytes = redis.call('HINCRBY', state, 'bytes', bytes)
    messages = redis.call('HINCRBY', state, 'messages', messages)
    if most >= 0 and bytes > most then
      if queue.width == 1 then dropped = drop(stream, state, bytes, most)
      else dropped = drop_ordered(stream, state, queue.layout, bytes, most) end
      bytes, messages = totals(state)
    end
    if fresh then taken = take_at_once(stream, queue.at_once) end
    reply[#reply + 1] = { bytes, messages, dropped, taken }
  end
end
return reply
`;
