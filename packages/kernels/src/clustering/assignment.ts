/**
 * Optimal assignment of rows to columns: at most one of each, the sum of values is the most that can be. Values are above 0; pairs
 * without a value are never assigned. Solved by shortest augmenting paths (Jonker & Volgenant 1987), apart for each connected part.
 */
export type Pair = { row: number; column: number; value: number }

export function assign(pairs: readonly Pair[]): Pair[] {
  return connectedParts(pairs).flatMap(assignPart)
}

function connectedParts(pairs: readonly Pair[]): Pair[][] {
  const parents = new Map<string, string>()
  const find = (key: string): string => {
    const parent = parents.get(key) ?? key
    if (parent === key) return key
    const root = find(parent)
    parents.set(key, root)
    return root
  }
  for (const { row, column } of pairs) parents.set(find(`r${row}`), find(`c${column}`))
  const parts = new Map<string, Pair[]>()
  for (const pair of pairs) {
    const root = find(`r${pair.row}`)
    const part = parts.get(root)
    if (part) part.push(pair)
    else parts.set(root, [pair])
  }
  return [...parts.values()]
}

function assignPart(pairs: Pair[]): Pair[] {
  const rows = [...new Set(pairs.map((pair) => pair.row))].sort((a, b) => a - b)
  const columns = [...new Set(pairs.map((pair) => pair.column))].sort((a, b) => a - b)
  const rowAt = new Map(rows.map((row, i) => [row, i]))
  const columnAt = new Map(columns.map((column, i) => [column, i]))
  // One spare column for each row: staying without a column costs 0, a pair costs −value.
  const width = columns.length + rows.length
  const costs = new Float64Array(rows.length * width)
  for (const { row, column, value } of pairs) costs[rowAt.get(row)! * width + columnAt.get(column)!] = -value
  const columnOf = shortestPaths(costs, rows.length, width)
  return pairs.filter((pair) => columnOf[rowAt.get(pair.row)!] === columnAt.get(pair.column)! && pair.value > 0)
}

/** Column of each row at the least total cost; needs at least as many columns as rows. */
function shortestPaths(costs: Float64Array, rows: number, columns: number): Int32Array {
  const rowPrice = new Float64Array(rows)
  const columnPrice = new Float64Array(columns)
  const rowOf = new Int32Array(columns).fill(-1)
  for (let start = 0; start < rows; start++) {
    const distance = new Float64Array(columns).fill(Number.POSITIVE_INFINITY)
    const before = new Int32Array(columns).fill(-1)
    const done = new Uint8Array(columns)
    let row = start
    let last = -1
    let reached = 0
    for (;;) {
      let nearest = -1
      for (let column = 0; column < columns; column++) {
        if (done[column]) continue
        const through = reached + costs[row * columns + column]! - rowPrice[row]! - columnPrice[column]!
        if (through < distance[column]!) {
          distance[column] = through
          before[column] = last
        }
        if (nearest < 0 || distance[column]! < distance[nearest]!) nearest = column
      }
      reached = distance[nearest]!
      done[nearest] = 1
      last = nearest
      if (rowOf[nearest]! < 0) break
      row = rowOf[nearest]!
    }
    rowPrice[start]! += reached
    for (let column = 0; column < columns; column++) {
      if (!done[column] || column === last) continue
      rowPrice[rowOf[column]!]! += reached - distance[column]!
      columnPrice[column]! += distance[column]! - reached
    }
    while (last >= 0) {
      const previous = before[last]!
      rowOf[last] = previous < 0 ? start : rowOf[previous]!
      last = previous
    }
  }
  const columnOf = new Int32Array(rows).fill(-1)
  for (let column = 0; column < columns; column++) if (rowOf[column]! >= 0) columnOf[rowOf[column]!] = column
  return columnOf
}
