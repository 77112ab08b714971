// What the server sees of a document, and how it finds an element again. Playwright runs this as a selector engine in a
// world of its own, where the page's scripts can neither see nor change it: a selector that asks for data is answered
// with a detached element whose text is JSON, one that asks for an element with that element.
(() => {
  const MOST_LINES = 20000, MOST_TEXT = 300, MOST_MS = 2000, MOST_UNSEEN = 60, MOST_OF_TEXT = 2000
  const numbers = new WeakMap(), elements = new Map(), shownAs = new WeakMap(), secretFields = new WeakSet()
  const secretsSeen = new Set()
  let nextNumber = 1, documentNumber = 0, version = 0, lastLines = [], lastChange = performance.now()

  // Change

  // A form's own names may hide what it has by nature.
  const parentNode = Object.getOwnPropertyDescriptor(Node.prototype, 'parentNode').get
  const parentOf = node => parentNode.call(node)
  const {checkVisibility, getBoundingClientRect: boxAround} = Element.prototype, VISIBLE = {visibilityProperty: true}

  const watched = new WeakSet()
  const takeIn = records => {
    if (records.length) lastChange = performance.now()
    for (const record of records) {
      if (record.attributeName === 'type' && record.oldValue === 'password') secretFields.add(record.target)
      noteChange(record.type === 'childList' ? record.target : parentOf(record.target))
    }
  }
  const observer = new MutationObserver(takeIn)
  const watch = root => {
    if (watched.has(root)) return
    watched.add(root)
    observer.observe(root, {
      subtree: true, childList: true, attributes: true, characterData: true, attributeOldValue: true,
    })
  }
  watch(document)
  addEventListener('scroll', () => { lastChange = performance.now(); allChanged = true }, {capture: true, passive: true})

  // Below which elements something changed since the lines were last made: what depends on the order and the attributes
  // of siblings is below their parent. Style sheets, and what the size of the window or the address decides, may change
  // anything.
  const MOST_CHANGED = 200, EVERYWHERE = /^(HTML|HEAD|STYLE|LINK|META)$/
  const changedBelow = new Set()
  let allChanged = true
  const noteChange = node => {
    if (allChanged) return
    const element = node instanceof ShadowRoot ? node.host : node
    if (!(element instanceof Element) || EVERYWHERE.test(element.tagName) || changedBelow.size === MOST_CHANGED) allChanged = true
    else changedBelow.add(element)
  }
  for (const event of ['resize', 'hashchange', 'popstate', 'fullscreenchange']) addEventListener(event, () => { allChanged = true }, true)
  for (const event of ['transitionrun', 'transitionend', 'transitioncancel', 'animationstart', 'animationend', 'animationcancel'])
    addEventListener(event, ({target}) => noteChange(target instanceof Node ? parentOf(target) : null), true)
  addEventListener('load', ({target}) => { if (EVERYWHERE.test(target.tagName)) allChanged = true }, true)
  const rulesOf = sheet => { try { return sheet.disabled ? -1 : sheet.cssRules.length } catch { return -2 } }
  const sheetsNow = () => [...document.styleSheets, ...document.adoptedStyleSheets].map(rulesOf).join()

  // What page_start.js knows of timers, in the page's own world; and movements that end in another look of the page.
  const arm = () => { saving = 0; document.dispatchEvent(new Event('SIGNAL-arm')) }
  // What is done to the page may come long after it was announced, on a slow machine.
  for (const event of ['mousedown', 'keydown', 'beforeinput'])
    addEventListener(event, ({isTrusted}) => isTrusted && document.dispatchEvent(new Event('SIGNAL-go')), true)
  const MOVING = /^(opacity|visibility|display|height|max-height)$/
  const moves = () => !document.dispatchEvent(new Event('SIGNAL-ask', {cancelable: true})) ||
    document.getAnimations().some(each => each.playState === 'running' && MOVING.test(each.transitionProperty ?? ''))

  // A transition's clock runs on between frames, but the page hears of its end with the next one.
  let isEnding = false
  addEventListener('transitionrun', ({propertyName}) => { isEnding ||= MOVING.test(propertyName) }, true)
  const isMoving = () => {
    const moving = moves()
    if (!moving && !isEnding) return false
    if (!moving) awaitFrames(1)
    isEnding = moving
    lastChange = performance.now()
    return true
  }

  let leavingSince = 0, saving = 0
  globalThis.navigation?.addEventListener('navigate', event => {
    if (event.downloadRequest !== null) saving++
    if (!event.hashChange && !event.destination.sameDocument && event.downloadRequest === null) leavingSince = performance.now()
  })
  globalThis.navigation?.addEventListener('navigatesuccess', () => { leavingSince = 0 })
  globalThis.navigation?.addEventListener('navigateerror', () => { leavingSince = 0 })

  // Roles and names, as far as a reader of lines needs them

  const INTERACTIVE = new Set(('button checkbox combobox gridcell link listbox menuitem menuitemcheckbox ' +
    'menuitemradio option radio searchbox slider spinbutton switch tab textbox treeitem file date color')
    .split(' '))
  const NAMED_BY_CONTENT = new Set(('button cell checkbox columnheader gridcell heading link menuitem ' +
    'menuitemcheckbox menuitemradio option radio rowheader switch tab tooltip treeitem summary').split(' '))
  const CELLS = new Set('cell columnheader rowheader'.split(' '))
  const SPOKEN = new Set('alert status log'.split(' '))
  const SAYING = /^(LABEL|LEGEND|CAPTION)$/
  const LANDMARKS = new Set(('alert alertdialog article banner complementary contentinfo dialog form grid group ' +
    'list listbox log main menu menubar navigation radiogroup region row search status table tablist tabpanel ' +
    'toolbar tree figure iframe').split(' '))
  const QUIET = new Set('generic none presentation paragraph rowgroup strong emphasis text'.split(' '))
  const BY_TAG = {
    ARTICLE: 'article', ASIDE: 'complementary', BLOCKQUOTE: 'blockquote', BUTTON: 'button', CANVAS: 'canvas',
    DETAILS: 'group', DIALOG: 'dialog', FIELDSET: 'group', FIGURE: 'figure', HR: 'separator', IFRAME: 'iframe',
    FRAME: 'iframe', LI: 'listitem', MAIN: 'main', MENU: 'list', METER: 'meter', NAV: 'navigation', OL: 'list',
    OPTION: 'option', OUTPUT: 'status', PROGRESS: 'progressbar', SEARCH: 'search', SUMMARY: 'button',
    TABLE: 'table', TD: 'cell', TEXTAREA: 'textbox', TH: 'columnheader', TR: 'row', UL: 'list', VIDEO: 'video',
    AUDIO: 'audio', EMBED: 'embed', OBJECT: 'embed',
  }
  const BY_TYPE = {
    button: 'button', submit: 'button', reset: 'button', image: 'button', checkbox: 'checkbox', radio: 'radio',
    range: 'slider', number: 'spinbutton', search: 'searchbox', file: 'file', color: 'color', date: 'date',
    'datetime-local': 'date', month: 'date', week: 'date', time: 'date', hidden: '',
  }
  const SKIPPED = new Set('SCRIPT STYLE NOSCRIPT TEMPLATE HEAD META LINK TITLE SOURCE TRACK PARAM'.split(' '))

  const roleOf = element => {
    const stated = element.getAttribute('role')?.trim().split(/\s+/)[0].toLowerCase()
    if (stated && /^[a-z-]{1,40}$/.test(stated)) return stated
    const tag = element.tagName
    switch (tag) {
      case 'A': case 'AREA': return element.hasAttribute('href') ? 'link' : 'generic'
      case 'INPUT': return element.list ? 'combobox' : BY_TYPE[element.type] ?? 'textbox'
      case 'SELECT': return element.multiple || element.size > 1 ? 'listbox' : 'combobox'
      case 'IMG': return element.getAttribute('alt') === '' ? 'none' : 'img'
      case 'H1': case 'H2': case 'H3': case 'H4': case 'H5': case 'H6': return 'heading'
      case 'SECTION': return labelOf(element) ? 'region' : 'generic'
      case 'FORM': return 'form'
      case 'LABEL': { const box = boxOf(element); return box ? roleOf(box) : 'generic' }
      case 'HEADER': case 'FOOTER':
        return element.closest('article,aside,main,nav,section') ? 'generic' : tag === 'HEADER' ? 'banner' : 'contentinfo'
    }
    if (element.namespaceURI === 'http://www.w3.org/2000/svg')
      return tag === 'a' ? 'link' : tag === 'svg' && (labelOf(element) || element.querySelector(':scope>title')) ? 'img' : 'generic'
    return BY_TAG[tag] ?? 'generic'
  }

  const STRUCK = /^(S|DEL|STRIKE)$/
  const clean = text => text.replace(/\s+/g, ' ').trim()
  const short = (text, most = MOST_TEXT) => text.length > most ? text.slice(0, most) + '…' : text

  // A box that is hidden itself and drawn by its label: the label stands for it.
  const boxOf = element => {
    const box = element.tagName === 'LABEL' ? element.control : null
    return box && /^(checkbox|radio)$/.test(box.type) && !isRendered(box) ? box : null
  }
  // A box without size is clicked by its label.
  const standIn = element => {
    if (element.tagName !== 'INPUT' || !/^(checkbox|radio)$/.test(element.type)) return element
    const {width, height} = element.getBoundingClientRect()
    return width && height ? element : [...element.labels].find(isRendered) ?? element
  }
  const isRendered = element => checkVisibility.call(element, VISIBLE)
  // Whether what an element says is said already, as the name of the field, group or table that it labels.
  const isSaid = element => {
    const tag = element.tagName, other = tag === 'LABEL' ? element.control : element.parentElement
    if (!other || !(tag === 'LABEL' ? FIELD.test(other.tagName) && isRendered(other) && roleOf(other) :
      tag === 'LEGEND' && other.tagName === 'FIELDSET' || tag === 'CAPTION' && other.tagName === 'TABLE')) return false
    const words = clean(contentOf(element, 0))
    return words.length <= MOST_TEXT && nameOf(other, roleOf(other)).includes(words)
  }
  const FIELD = /^(INPUT|TEXTAREA|SELECT|METER|PROGRESS)$/

  // Within a label no further one is looked for: what labels an element may contain it.
  let isInLabel = false
  const labelledBy = element => {
    const ids = isInLabel ? null : element.getAttribute('aria-labelledby')
    if (!ids) return ''
    const root = element.getRootNode()
    isInLabel = true
    try {
      return clean(ids.trim().split(/\s+/).map(id => {
        const other = root.getElementById?.(id)
        return other ? contentOf(other, 0) : ''
      }).join(' '))
    } finally {
      isInLabel = false
    }
  }
  const labelOf = element => labelledBy(element) || clean(element.getAttribute('aria-label') || '')

  const contentOf = (node, depth) => {
    if (node.nodeType === Node.TEXT_NODE) return node.nodeValue
    if (node.nodeType !== Node.ELEMENT_NODE || depth > 40 || SKIPPED.has(node.tagName)) return ''
    if (depth && (node.getAttribute('aria-hidden') === 'true' || !node.checkVisibility({visibilityProperty: true}))) return ''
    const label = depth ? labelOf(node) : ''
    if (label) return ` ${label} `
    switch (node.tagName) {
      case 'IMG': return ` ${node.getAttribute('alt') || ''} `
      case 'INPUT': return /^(button|submit|reset)$/.test(node.type) ? ` ${node.value} ` : ' '
      case 'SELECT': case 'TEXTAREA': return ' '
      case 'BR': return ' '
    }
    let text = ''
    for (const child of childrenOf(node)) {
      text += contentOf(child, depth + 1)
      if (text.length > 4 * MOST_TEXT) break
    }
    if (STRUCK.test(node.tagName) && text.trim()) text = `~~${text.trim()}~~`
    const inline = node.nodeType !== Node.ELEMENT_NODE || /^(A|DEL|ABBR|B|CITE|CODE|EM|I|KBD|MARK|S|SMALL|SPAN|STRONG|SUB|SUP|U|FONT)$/i.test(node.tagName)
    return inline ? text : ` ${text} `
  }

  const childrenOf = node => {
    if (node.shadowRoot) {
      watch(node.shadowRoot)
      return node.shadowRoot.childNodes
    }
    if (node.tagName === 'SLOT') {
      const assigned = node.assignedNodes()
      if (assigned.length) return assigned
    }
    return node.childNodes
  }

  const nameOf = (element, role) => {
    const label = labelOf(element)
    if (label) return label
    const tag = element.tagName
    if (tag === 'INPUT' || tag === 'TEXTAREA' || tag === 'SELECT' || tag === 'METER' || tag === 'PROGRESS') {
      if (/^(button|submit|reset)$/.test(element.type) && tag === 'INPUT')
        return clean(element.value) || {submit: 'Submit', reset: 'Reset'}[element.type] || ''
      const labels = clean([...(element.labels || [])].map(each => contentOf(each, 0)).join(' '))
      return labels || clean(element.getAttribute('alt') || element.getAttribute('title') ||
        element.getAttribute('placeholder') || '')
    }
    if (tag === 'IMG') return clean(element.getAttribute('alt') || element.title || '')
    if (tag === 'FIELDSET') return clean(element.querySelector(':scope>legend')?.textContent || '')
    if (tag === 'TABLE') return clean(element.caption?.textContent || '')
    if (tag === 'IFRAME') return clean(element.title || element.name || '')
    if (tag === 'svg') return clean(element.querySelector(':scope>title')?.textContent || '')
    const content = NAMED_BY_CONTENT.has(role) ? clean(contentOf(element, 0)) : ''
    return content || clean(element.getAttribute('title') || '')
  }

  // What is secret on a page whatever the page does: passwords, one-time codes, cards

  const isSecret = element => {
    if (element.tagName !== 'INPUT' && element.tagName !== 'TEXTAREA') return false
    if (element.type === 'password' || /\b(current-password|new-password|one-time-code|cc-\S+)/.test(element.autocomplete))
      secretFields.add(element)
    return secretFields.has(element)
  }

  // What has the focus, and the hosts and frames that it is in.
  let activeElements = new Set()
  const lookForFocus = () => {
    activeElements = new Set()
    for (let root = document; root?.activeElement; root = root.activeElement.shadowRoot)
      if (root.activeElement !== document.body) activeElements.add(root.activeElement)
  }

  const statesOf = (shown, role) => {
    const states = [], element = boxOf(shown) ?? shown
    const hasAria = element.getAttributeNames().some(name => name.startsWith('aria-'))
    const aria = name => hasAria ? element.getAttribute('aria-' + name) : null
    if (element.matches(':disabled') || aria('disabled') === 'true') states.push('disabled')
    if (element.tagName === 'INPUT' && /checkbox|radio/.test(element.type)) {
      if (element.indeterminate) states.push('mixed')
      else if (element.checked) states.push('checked')
    } else if (aria('checked') === 'true' || aria('checked') === 'mixed') states.push(aria('checked') === 'true' ? 'checked' : 'mixed')
    if (aria('pressed') === 'true') states.push('pressed')
    if (aria('selected') === 'true' || (role === 'option' && element.selected)) states.push('selected')
    if (aria('current') && aria('current') !== 'false') states.push('current')
    const expanded = aria('expanded')
    if (expanded) states.push(expanded === 'true' ? 'expanded' : 'collapsed')
    else if (element.tagName === 'SUMMARY' && element.parentElement?.tagName === 'DETAILS')
      states.push(element.parentElement.open ? 'expanded' : 'collapsed')
    const sorted = aria('sort')
    if (sorted === 'ascending' || sorted === 'descending') states.push('sorted-' + sorted)
    if (element.required || aria('required') === 'true') states.push('required')
    if (element.readOnly && /^(INPUT|TEXTAREA)$/.test(element.tagName)) states.push('readonly')
    if (element.matches(':user-invalid') && element.validationMessage) states.push('invalid=' + JSON.stringify(short(clean(element.validationMessage))))
    else if (aria('invalid') === 'true') states.push('invalid')
    if (role === 'heading') states.push('level=' + (parseInt(aria('level')) || /^H([1-6])$/.exec(element.tagName)?.[1] || 2))
    if (activeElements.has(element)) states.push('focused')
    return states
  }

  const valueOf = (element, role) => {
    if (isSecret(element)) {
      if (element.value) secretsSeen.add(element.value)
      return element.value ? '••••' : ''
    }
    switch (element.tagName) {
      case 'TEXTAREA': return element.value
      case 'INPUT': return /^(checkbox|radio|button|submit|reset|image|hidden)$/.test(element.type) ? '' :
        element.type === 'file' ? [...element.files].map(file => file.name).join(', ') : element.value
      case 'SELECT': return [...element.selectedOptions].map(option => clean(option.label)).join(', ')
      case 'PROGRESS': case 'METER': return String(element.value)
    }
    if (element.isContentEditable && role === 'textbox') return clean(element.innerText || '')
    return element.getAttribute('aria-valuetext') || element.getAttribute('aria-valuenow') || ''
  }

  // Text that is there for a program to read and not for a person to see

  const CLEAR = 'rgba(0, 0, 0, 0)'
  const onPicture = element => {
    for (; element; element = element.parentElement) if (getComputedStyle(element).backgroundImage !== 'none') return true
    return false
  }
  const isScrolledAway = element => {
    for (; element && element !== document.documentElement; element = element.parentElement ?? element.getRootNode().host)
      if (element !== document.body && (element.scrollTop || element.scrollLeft)) return true
    return false
  }
  const isOutOfSight = element => {
    const {right, bottom, width, height} = boxAround.call(element)
    if (right + scrollX <= 0 || bottom + scrollY <= 0) return (width > 0 || height > 0) && !isScrolledAway(element)
    return width > 0 && height > 0 && width <= 2 && height <= 2
  }
  const isUnseen = (element, style, around) => {
    if (around.faded || parseFloat(style.fontSize) < 3) return true
    const colour = style.color
    if (colour === around.background || colour.endsWith(', 0)') && colour.startsWith('rgba')) {
      const painted = style.backgroundClip === 'text' || style.webkitTextFillColor !== colour
      if (!painted && (colour !== around.background || !onPicture(element))) return true
    }
    return isOutOfSight(element) || style.clipPath === 'inset(100%)' || style.position === 'absolute' && style.clip.startsWith('rect(0px')
  }
  // What an element inherits from those around it: whether a pointer shows there already, what is behind its text.
  const inside = (around, style, points) => {
    const own = style.backgroundColor, background = own === CLEAR ? around.background : own
    const faded = around.faded || style.opacity === '0'
    return points === around.pointer && background === around.background && faded === around.faded
      ? around : {pointer: points, background, faded}
  }
  const OUTSIDE = {pointer: false, background: 'rgb(255, 255, 255)', faded: false}

  const numberOf = element => {
    let number = numbers.get(element)
    if (number === undefined) {
      number = nextNumber++
      numbers.set(element, number)
      elements.set(number, new WeakRef(element))
    }
    return number
  }
  const elementOf = number => elements.get(number)?.deref()

  // The lines: [depth, text, element's number or 0, 1 when interactive]

  // Small blocks whose lines are those of the last time, as long as nothing in them changed and each of their elements is
  // rendered as it was. Those with fields, labels, the focus, shadow roots or text that nobody sees are never kept: there
  // is more to them than their elements tell.
  const MOST_KEPT = 64
  const VOLATILE = /^(INPUT|SELECT|TEXTAREA|METER|PROGRESS|LABEL|LEGEND|CAPTION|SLOT)$/
  let blocks = new WeakMap(), sheets = ''
  const plainCells = new WeakMap()

  const changedAbove = () => {
    const above = new Set()
    for (const element of [...changedBelow, ...activeElements])
      for (let each = element; each && !above.has(each); each = parentOf(each)) above.add(each)
    return above
  }

  const linesOf = (top, anew) => {
    const lines = [], started = performance.now()
    let pending = '', pendingUnseen = false, cut = false, visited = 0, said = 0
    lookForFocus()
    const known = blocks, sheetsBefore = sheets, seen = [], shows = [], keeping = []
    blocks = new WeakMap()
    sheets = sheetsNow()
    const above = changedAbove(), below = new Set(changedBelow)
    let renewing = anew || allChanged || sheets !== sheetsBefore ? 1 : 0, volatile = 0
    allChanged = false
    changedBelow.clear()
    const flush = depth => {
      const text = clean(pending)
      if (text) lines.push([depth, `text ${JSON.stringify(short(text, MOST_OF_TEXT))}${pendingUnseen ? ' (not visible)' : ''}`, 0, 0])
      pending = ''
      pendingUnseen = false
    }
    const addText = (text, unseen, depth) => {
      if (!text.trim()) { pending += ' '; return }
      if (pending.trim() && unseen !== pendingUnseen) flush(depth)
      pendingUnseen = unseen
      pending += text
    }
    const walkChildren = (element, depth, style, around) => {
      let unseen
      for (const child of childrenOf(element)) {
        if (child.nodeType === Node.TEXT_NODE) {
          const text = child.nodeValue
          if (unseen === undefined && text.trim()) volatile += unseen = isUnseen(element, style, around)
          if (said && !unseen) pending += ' '
          else addText(text, unseen ?? false, depth)
        } else if (child.nodeType === Node.ELEMENT_NODE) walk(child, depth, around)
        if (cut) return
      }
    }
    const isAsKept = (block, depth, around) => {
      if (block.depth !== depth || block.around.pointer !== around.pointer || block.around.faded !== around.faded ||
        block.around.background !== around.background || lines.length + block.lines.length >= MOST_LINES) return false
      return block.seen.every((each, n) => !each.shadowRoot && isRendered(each) === block.shows[n]) &&
        isOutOfSight(block.element) === block.isAway
    }
    const reuse = (element, depth, around) => {
      if (renewing || said || above.has(element)) return false
      const block = known.get(element)
      if (!block || !isAsKept(block, depth, around)) return false
      flush(depth)
      for (const line of block.lines) lines.push(line)
      for (const each of block.seen) seen.push(each)
      for (const each of block.shows) shows.push(each)
      keeping.push(block)
      return true
    }
    const walk = (element, depth, around) => {
      if (lines.length >= MOST_LINES || (++visited & 255) === 0 && performance.now() - started > MOST_MS) { cut = true; return }
      if (SKIPPED.has(element.tagName) || element.getAttribute('aria-hidden') === 'true') return
      if (reuse(element, depth, around)) return
      const was = volatile, others = keeping.length, from = seen.length
      seen.push(element)
      shows.push(isRendered(element))
      const renews = below.has(element)
      renewing += renews
      const first = walkAnew(element, depth, around)
      renewing -= renews
      if (first < 0 || said || cut || volatile !== was || seen.length - from > MOST_KEPT) return
      keeping.length = others
      const isAway = isOutOfSight(element)
      keeping.push({element, depth, around, isAway, lines: lines.slice(first), seen: seen.slice(from), shows: shows.slice(from)})
    }
    // Returns where the lines of the element begin; -1 when they cannot be told from those around.
    const walkAnew = (element, depth, around) => {
      const tag = element.tagName
      if (element.shadowRoot) watch(element.shadowRoot)
      if (element.shadowRoot || VOLATILE.test(tag) || activeElements.has(element) || element.hasAttribute('aria-labelledby')) volatile++
      const style = getComputedStyle(element), display = style.display  // each look at a style takes its time
      if (display === 'none') return -1
      if (tag === 'BR') { pending += ' '; return -1 }
      const isHidden = style.visibility !== 'visible'
      if (isHidden && !element.firstElementChild && !element.shadowRoot) return -1
      const role = roleOf(element)
      if (role === '') return -1
      const points = INTERACTIVE.has(role) || style.cursor === 'pointer'
      const interactive = INTERACTIVE.has(role) || element.isContentEditable && !element.parentElement?.isContentEditable ||
        element.hasAttribute('onclick') || element.hasAttribute('tabindex') && element.tabIndex >= 0 ||
        points && !around.pointer && !(tag === 'LABEL' && isSaid(element)) || isDraggable(element) ||
        tag === 'A' && role === 'generic' && !element.name && element.hasChildNodes()
      const within = inside(around, style, around.pointer || points)
      const block = !display.startsWith('inline') && display !== 'contents'
      if (!interactive && (QUIET.has(role) || isHidden)) {
        const struck = STRUCK.test(tag) && !said, silent = SAYING.test(tag) && isSaid(element)
        if (block || silent) flush(depth)
        const first = block ? lines.length : -1
        if (struck) pending += '~~'
        said += silent
        walkChildren(element, depth, style, within)
        said -= silent
        if (struck) pending = pending.trimEnd() + '~~'
        if (block) flush(depth)
        return first
      }
      flush(depth)
      const shownRole = QUIET.has(role) ? (element.isContentEditable ? 'textbox' : 'clickable') : role
      const named = shownRole === 'clickable' ? clean(labelOf(element) || contentOf(element, 0)) : nameOf(element, shownRole)
      const at = lines.length
      lines.push(null)
      const first = lines.length
      if (!(tag === 'SELECT' || tag === 'IFRAME' || tag === 'FRAME' || tag === 'TEXTAREA' || tag === 'svg')) {
        walkChildren(element, depth + 1, style, within)
        flush(depth + 1)
      } else if (tag === 'SELECT') optionsOf(element, depth + 1)
      let name = named, flag = ''
      if (shownRole === 'row') joinCells(first, depth + 1)
      const children = lines.length - first
      const byContent = NAMED_BY_CONTENT.has(shownRole) || shownRole === 'clickable'
      if (children && tag !== 'SELECT') {
        let texts = true, unseen = 0, length = 0
        for (let n = first; n < lines.length && texts; n++) {
          texts = lines[n][2] === 0 && lines[n][1].startsWith('text ')
          if (lines[n][1].endsWith('(not visible)')) { unseen++; length += lines[n][1].length }
        }
        if (texts && length <= MOST_UNSEEN && (byContent || element.isContentEditable && !unseen || children === 1 && !name && !unseen && (SPOKEN.has(shownRole) || !LANDMARKS.has(shownRole)))) {
          if (!byContent && !element.isContentEditable) name = JSON.parse(lines[first][1].slice(5))
          if (unseen) flag = unseen === children ? ' (not visible)' : ' (partly not visible)'
          lines.length = first
        } else if (byContent && shownRole !== 'heading' && !texts && !labelOf(element) && !INTERACTIVE.has(shownRole)) name = ''
      }
      const isCell = CELLS.has(shownRole) && !interactive
      const value = valueOf(element, shownRole)
      if (!interactive && !name && !value && lines.length === first && !(isCell && isInRow(element)) && !EMPTY.test(shownRole)) {
        lines.length = at
        return at
      }
      if (!interactive && !name && /^(listitem|group|form|article|figure|blockquote|cell|columnheader|rowheader)$/.test(shownRole) && lines.length - first === 1) {
        const only = lines.pop()
        lines.pop()
        lines.push([depth, only[1], only[2], only[3]])
        return at
      }
      const states = statesOf(element, shownRole)
      if (interactive && !INTERACTIVE.has(shownRole) && shownRole !== 'clickable') states.push('clickable')
      if (isDraggable(element)) states.push('draggable')
      if (interactive && !name && !value && lines.length === first) states.push(...hintOf(element))
      const text = shownRole + (name ? ' ' + JSON.stringify(short(name)) : '') +
        (value ? ' value=' + JSON.stringify(short(clean(value))) : '') + (states.length ? ' ' + states.join(' ') : '') + flag
      shownAs.set(element, `${shownRole} ${JSON.stringify(short(name))}`)
      const kept = interactive || LANDMARKS.has(shownRole) || /^(img|heading|canvas|video)$/.test(shownRole)
      lines[at] = [depth, text, kept ? numberOf(element) : 0, interactive ? 1 : 0]
      if (isCell && lines.length === first && !kept && !value && !states.length && !flag) plainCells.set(lines[at], JSON.stringify(short(name)))
      return at
    }
    // Cells that hold nothing but text, side by side, are one line.
    const joinCells = (first, depth) => {
      const cells = lines.splice(first)
      for (let n = 0; n < cells.length; n++) {
        const run = []
        while (n < cells.length && plainCells.has(cells[n])) run.push(plainCells.get(cells[n++]))
        if (n === cells.length) while (run.at(-1) === '""') run.pop()
        if (run.some(cell => cell !== '""')) {
          const kind = cells[n - 1][1].split(' ', 1)[0]
          lines.push([depth, `${kind}${run.length > 1 ? 's' : ''} ${run.join(' | ')}`, 0, 0])
        }
        if (n < cells.length) lines.push(cells[n])
      }
    }
    const optionsOf = (select, depth) => {
      let count = 0
      for (const option of select.options) {
        if (++count > 30) { lines.push([depth, `text "… ${select.options.length - 30} more options"`, 0, 0]); break }
        lines.push([depth, `option ${JSON.stringify(short(clean(option.label)))}${option.selected && select.multiple ? ' selected' : ''}${option.disabled ? ' disabled' : ''}`, 0, 0])
      }
    }
    if (top) walk(top, 0, OUTSIDE)
    flush(0)
    for (const block of keeping) blocks.set(block.element, block)
    if (cut) lines.push([0, 'text "… the page goes on; it is too large to show whole"', 0, 0])
    return lines.filter(line => line)
  }

  // What tells a nameless button from the next one, such as the name of its icon.
  const hintOf = element => {
    const inner = element.firstElementChild
    const hint = element.dataset?.testid || inner?.dataset?.icon || inner?.querySelector?.('use')?.getAttribute('href') ||
      element.id || element.getAttribute('name') || inner?.getAttribute('class') || element.getAttribute('class')
    return hint ? ['hint=' + JSON.stringify(clean(hint).slice(0, 40))] : []
  }
  const EMPTY = /^(iframe|img|canvas|video|audio|embed)$/  // shown though nothing is in it

  const isDraggable = element => element.getAttribute('draggable') === 'true'
  const isInRow = element => element.parentElement?.tagName === 'TR' || element.parentElement?.getAttribute('role') === 'row'

  const same = (one, other) => one === other || one[1] === other[1] && one[0] === other[0] && one[2] === other[2]

  // Only what differs from the lines that the server has travels to it.
  const snapshot = (known, anew) => {
    const lines = linesOf(document.body ?? document.documentElement, anew)
    const whole = known !== version
    let start = 0, end = 0
    if (!whole) {
      const most = Math.min(lines.length, lastLines.length)
      while (start < most && same(lines[start], lastLines[start])) start++
      while (end < most - start && same(lines[lines.length - 1 - end], lastLines[lastLines.length - 1 - end])) end++
    }
    lastLines = lines
    version++
    return {version, whole, start, end, lines: lines.slice(start, lines.length - end), secrets: [...secretsSeen]}
  }

  // What an action does to a page, a scroll for example, begins with one of the next frames.
  let framesLeft = 0
  const nextFrame = () => { if (--framesLeft > 0) requestAnimationFrame(nextFrame) }
  const awaitFrames = many => { framesLeft = many; requestAnimationFrame(nextFrame) }

  const quietFor = () => {
    takeIn(observer.takeRecords())
    return performance.now() - lastChange
  }

  const describe = number => {
    const element = elementOf(number)
    if (!element) return {state: 'unknown'}
    arm()
    if (!element.isConnected) return {state: 'gone', was: shownAs.get(element)}
    const role = roleOf(element)
    const shownRole = QUIET.has(role) ? (element.isContentEditable ? 'textbox' : 'clickable') : role
    const name = shownRole === 'clickable' ? clean(labelOf(element) || contentOf(element, 0)) : nameOf(element, shownRole)
    const control = boxOf(element) ?? element
    const {submits, target} = submission(element)
    return {
      state: 'here', was: shownAs.get(element), now: `${shownRole} ${JSON.stringify(short(name))}`, tag: element.tagName,
      type: control.type ?? '', multiple: element.multiple ?? false,
      options: element.tagName === 'SELECT' ? [...element.options].slice(0, 1000).map(o => [clean(o.label), o.value, o.disabled]) : [],
      submitsTo: target, submits,
    }
  }

  // Whether one can act on an element without a word: it is what it was shown as, and sends nothing elsewhere.
  const isReady = (element, number) => {
    if (!element) return false
    const {state, was, now, submits, submitsTo} = describe(number)
    return state === 'here' && (!was || was === now) && !(submits && submitsTo)
  }

  // Where the form goes that an element is part of, when that is another origin; and whether a click on it sends it.
  const submission = element => {
    const button = element.closest('button,input'), field = button ?? element
    const form = field.form ?? field.closest('form')
    if (!form) return {submits: false, target: ''}
    const submits = !!button && (button.type === 'submit' || button.type === 'image')
    const action = submits && button.getAttribute('formaction') || form.getAttribute('action') || ''
    let target = 'an address that is none'
    try {
      const {origin, protocol} = new URL(action, document.baseURI)
      target = origin === location.origin || protocol === 'javascript:' ? '' : origin === 'null' ? action.slice(0, 100) : origin
    } catch { }
    return {submits, target}
  }

  // What has the focus, for keys that are pressed without saying where.
  const focused = () => {
    arm()
    let element = document.activeElement
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement
    return {number: element && element !== document.body ? numberOf(element) : 0, inner: /^I?FRAME$/.test(element?.tagName)}
  }

  const FILLED = new Set('textbox searchbox combobox listbox checkbox radio switch slider spinbutton file date color'.split(' '))
  const everyElement = function* (root) {
    for (const element of root.querySelectorAll('*')) {
      yield element
      if (element.shadowRoot) yield* everyElement(element.shadowRoot)
    }
  }
  const textOf = element => element.tagName === 'INPUT' && /^(button|submit|reset)$/.test(element.type) ? nameOf(element, 'button') :
    clean(element.textContent)
  const labelled = (element, fits) => {
    let role = roleOf(element)
    if (QUIET.has(role) && element.isContentEditable && !element.parentElement?.isContentEditable) role = 'textbox'
    return FILLED.has(role) && fits(nameOf(element, role))
  }
  const named = (element, fits) => {
    if (fits(textOf(element))) return true
    return element.hasAttribute('aria-label') && INTERACTIVE.has(roleOf(element)) && fits(nameOf(element, ''))
  }
  // The innermost of those whose text or label is this: exactly, or, where none is, but for case, stars and colons.
  const search = (how, what) => {
    const plain = text => clean(text.replace(/[\s*:]+$/, '')).toLowerCase(), wanted = plain(what)
    for (const fits of [text => text === what, text => wanted && plain(text) === wanted]) {
      const found = []
      for (const element of everyElement(document))
        if ((how === 'label' ? labelled : named)(element, fits) && isRendered(element) && found.push(element) > 20) break
      if (found.length) return how === 'label' ? found : found.filter(one => !found.some(other => other !== one && one.contains(other)))
    }
    return []
  }
  const select = what => {
    const found = [...document.querySelectorAll(what)]
    for (const element of everyElement(document)) if (element.shadowRoot) found.push(...element.shadowRoot.querySelectorAll(what))
    return found
  }
  const find = (how, what) => {
    let found
    try { found = how === 'css' ? select(what) : search(how, what) } catch { return {invalid: true} }
    return {found: found.slice(0, 20).map(element => [numberOf(element), `${roleOf(element)} ${JSON.stringify(short(nameOf(element, roleOf(element)) || clean(element.textContent)))}`])}
  }

  const secretValues = () => {
    return secretElements().map(field => field.value).filter(value => value)
  }

  const secretElements = () => [...everyElement(document)].filter(isSecret)

  const textIsThere = text => {
    const wanted = clean(text).toLowerCase()
    const within = root => {
      if (clean(root.innerText ?? root.textContent ?? '').toLowerCase().includes(wanted)) return true
      for (const element of root.querySelectorAll('*')) if (element.shadowRoot && [...element.shadowRoot.children].some(within)) return true
      return false
    }
    return document.body ? within(document.body) : false
  }

  // Main content as Markdown

  const addressOf = url => /^(data|blob|javascript):/.test(url) ? '' : url
  const markdown = () => {
    const root = document.querySelector('main,[role=main]') ??
      (document.querySelectorAll('article').length === 1 ? document.querySelector('article') : null) ?? document.body
    if (!root) return ''
    const out = []
    const inline = node => {
      if (node.nodeType === Node.TEXT_NODE) return node.nodeValue.replace(/\s+/g, ' ')
      if (node.nodeType !== Node.ELEMENT_NODE || hidden(node)) return ''
      const text = () => [...childrenOf(node)].map(inline).join('')
      switch (node.tagName) {
        case 'BR': return '\n'
        case 'A': { const words = text().trim(); return node.href && words ? `[${words}](${addressOf(node.href)})` : words }
        case 'B': case 'STRONG': return text().trim() ? `**${text().trim()}**` : ''
        case 'EM': case 'I': return text().trim() ? `*${text().trim()}*` : ''
        case 'CODE': return '`' + text() + '`'
        case 'S': case 'DEL': case 'STRIKE': return text().trim() ? `~~${text().trim()}~~` : ''
        case 'IMG': return node.alt ? `![${clean(node.alt)}](${addressOf(node.currentSrc || node.src)})` : ''
        case 'INPUT': case 'TEXTAREA': case 'SELECT': case 'BUTTON': return ''
      }
      return text()
    }
    const hidden = element => SKIPPED.has(element.tagName) || element.getAttribute('aria-hidden') === 'true' ||
      !element.checkVisibility({visibilityProperty: true, opacityProperty: true}) && getComputedStyle(element).display !== 'contents'
    const BLOCK = /^(ADDRESS|ARTICLE|ASIDE|BLOCKQUOTE|BODY|DD|DETAILS|DIALOG|DIV|DL|DT|FIELDSET|FIGCAPTION|FIGURE|FOOTER|FORM|H[1-6]|HEADER|HR|LI|MAIN|NAV|OL|P|PRE|SECTION|SUMMARY|TABLE|UL)$/
    const block = (node, indent) => {
      let run = ''
      const flush = () => { const text = run.replace(/[ \t]+/g, ' ').replace(/ *\n */g, '\n').trim(); if (text) out.push(indent + text.replace(/\n/g, '\n' + indent)); run = '' }
      for (const child of childrenOf(node)) {
        if (child.nodeType !== Node.ELEMENT_NODE || !BLOCK.test(child.tagName) && !child.shadowRoot && !child.querySelector?.('p,div,ul,ol,table,h1,h2,h3,section')) { run += inline(child); continue }
        flush()
        if (hidden(child) || /^(NAV)$/.test(child.tagName)) continue
        const tag = child.tagName
        if (/^H[1-6]$/.test(tag)) { const text = clean(inline(child)); if (text) out.push('#'.repeat(+tag[1]) + ' ' + text) }
        else if (tag === 'UL' || tag === 'OL' || tag === 'MENU') list(child, indent)
        else if (tag === 'PRE') out.push('```\n' + child.innerText.replace(/\n$/, '') + '\n```')
        else if (tag === 'TABLE') table(child)
        else if (tag === 'BLOCKQUOTE') block(child, indent + '> ')
        else if (tag === 'HR') out.push('---')
        else block(child, indent)
      }
      flush()
    }
    const list = (element, indent) => {
      let number = element.start ?? 1
      const items = []
      for (const item of element.children) {
        if (hidden(item)) continue
        const before = out.length
        block(item, '')
        const parts = out.splice(before)
        const mark = element.tagName === 'OL' ? `${number++}. ` : '- '
        if (parts.length) items.push(indent + mark + parts.join('\n').replace(/\n/g, '\n' + indent + '  '))
      }
      if (items.length) out.push(items.join('\n'))
    }
    const table = element => {
      const rows = [...element.rows].filter(row => !hidden(row)).map(row => [...row.cells].map(cell => clean(inline(cell)).replace(/\|/g, '\\|')))
      if (!rows.length) return
      const lines = rows.map(row => `| ${row.join(' | ')} |`)
      lines.splice(1, 0, `| ${rows[0].map(() => '---').join(' | ')} |`)
      out.push(lines.join('\n'))
    }
    block(root, '')
    return out.join('\n\n')
  }

  const answer = ask => {
    documentNumber ||= ask.candidate
    const base = {document: documentNumber}
    switch (ask.do) {
      case 'snapshot': return {...base, ...snapshot(ask.known, true)}
      case 'settled': {
        if (ask.frames) awaitFrames(ask.frames)
        const leaving = leavingSince > 0, moving = !ask.impatient && (framesLeft > 0 || isMoving()), quiet = quietFor()
        const state = {...base, quiet, leaving, moving, frames: framesLeft, saving}
        return ask.force || quiet >= ask.quiet && !leaving && !moving ? {...state, ...snapshot(ask.known, false)} : state
      }
      case 'focused': return {...base, ...focused()}
      case 'describe': return {...base, ...describe(ask.number)}
      case 'find': return {...base, ...find(ask.how, ask.what)}
      case 'hide': { const field = elementOf(ask.number); if (field) secretFields.add(field); return base }
      case 'cover': { for (const field of secretElements()) field.style.webkitTextSecurity = ask.on ? 'disc' : ''; return base }
      case 'secrets': return {...base, values: secretValues()}
      case 'text': return {...base, there: textIsThere(ask.text)}
      case 'markdown': return {...base, text: markdown()}
    }
  }

  const queryAll = (root, body) => {
    const ask = JSON.parse(decodeURIComponent(body))
    if (ask.do === 'secret') return secretElements()
    if (ask.do === 'element') {
      const element = ask.document === documentNumber ? elementOf(ask.number) : null
      if (ask.ready && !isReady(element, ask.number)) throw new Error('SIGNAL-unready')
      return element?.isConnected ? [standIn(element)] : []
    }
    const carrier = document.createElement('i')
    carrier.textContent = JSON.stringify(answer(ask))
    return [carrier]
  }
  return {query: (root, body) => queryAll(root, body)[0] ?? null, queryAll}
})()
