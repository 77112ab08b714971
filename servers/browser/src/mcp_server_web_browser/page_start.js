// Runs in every document before the page's own scripts, in their world; SIGNAL is a name that no page can know.
(() => {
  // A closed shadow root would hide what people see; the page's own scripts lose nothing by an open one.
  const attach = Element.prototype.attachShadow
  Element.prototype.attachShadow = new Proxy(attach, {
    apply: (target, self, [options]) => Reflect.apply(target, self, [{...options, mode: 'open'}]),
  })

  // Timers that an action sets (a search that waits for the next key, a step that slides in) belong to what it does.
  // Those that a page sets for itself, from a timer or an interval, do not: clocks, polls, carousels.
  // One that is overdue is waited for a few asks more, for it may be next in line.
  const LONGEST_MS = 500, GRACE_MS = 20, ARMED_MS = 2_000, CHANCES = 3
  const {apply} = Reflect, now = performance.now.bind(performance)
  const prevent = Event.prototype.preventDefault
  const due = new Map()
  let armedUntil = now() + ARMED_MS, isOwn = false
  const within = (own, work, self, values) => {
    const before = isOwn
    isOwn = own
    try { return apply(work, self, values) } finally { isOwn = before }
  }
  const set = setTimeout
  globalThis.setTimeout = new Proxy(set, {
    apply(target, self, [work, delay, ...rest]) {
      if (typeof work !== 'function') return apply(target, self, [work, delay, ...rest])
      const wait = +delay || 0, belongs = !isOwn && wait <= LONGEST_MS && now() < armedUntil
      const id = apply(target, self, [function (...values) { due.delete(id); within(!belongs, work, this, values) }, delay, ...rest])
      if (belongs) due.set(id, {at: now() + wait, chances: CHANCES})
      return id
    },
  })
  globalThis.setInterval = new Proxy(setInterval, {
    apply: (target, self, [work, ...rest]) => apply(target, self, typeof work !== 'function' ? [work, ...rest] :
      [function (...values) { within(true, work, this, values) }, ...rest]),
  })
  globalThis.clearTimeout = new Proxy(clearTimeout, {
    apply(target, self, values) { due.delete(values[0]); return apply(target, self, values) },
  })
  // A request that is sent is heard of elsewhere, a moment later.
  const ANNOUNCED_MS = 100
  const announcing = sent => new Proxy(sent, {
    apply(target, self, values) {
      if (!isOwn && now() < armedUntil) due.set({}, {at: now() + ANNOUNCED_MS - GRACE_MS, chances: 0})
      return apply(target, self, values)
    },
  })
  globalThis.fetch = announcing(fetch)
  XMLHttpRequest.prototype.send = announcing(XMLHttpRequest.prototype.send)

  document.addEventListener('SIGNAL-arm', () => { due.clear(); armedUntil = now() + ARMED_MS })
  document.addEventListener('SIGNAL-go', () => { armedUntil = now() + ARMED_MS })
  document.addEventListener('SIGNAL-ask', event => {
    for (const [id, timer] of due) if (now() > timer.at + GRACE_MS && --timer.chances < 0) due.delete(id)
    if (due.size) apply(prevent, event, [])
  })
})()
