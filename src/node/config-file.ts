/**
 * From the text of a YAML file to values that fit a schema, or to problems that name file, line and the nearest known key. Knows valibot, YAML and
 * positions; knows nothing of what the keys mean.
 */
import * as v from 'valibot'
import { LineCounter, isMap, isNode, isScalar, isSeq, parseDocument } from 'yaml'
import type { Document } from 'yaml'
import { nearest, shown } from './config-units.ts'
import type { Parsed } from './config-units.ts'

/** Something wrong in the configuration: one line for a person. The process exits with 2. */
export class ConfigError extends Error {
  /** One sentence each, with file and line in front. */
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** A leaf of a schema: a parser of our own, whose sentence becomes valibot's. */
export function leaf<T>(parse: (value: unknown) => Parsed<T>): v.GenericSchema<unknown, T> {
  return v.pipe(
    v.unknown(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const parsed = dataset.value === null ? { kind: 'bad' as const, problem: 'has no value' } : parse(dataset.value)
      if (parsed.kind === 'ok') return parsed.value
      addIssue({ message: parsed.problem })
      return NEVER
    }),
  )
}

/** An open configuration file: it can say where something stands. */
export class ConfigFile {
  readonly name: string
  readonly #document: Document
  readonly #lines: LineCounter

  private constructor(name: string, document: Document, lines: LineCounter) {
    this.name = name
    this.#document = document
    this.#lines = lines
  }

  /** Throws a ConfigError when the text is not YAML. */
  static parse(name: string, text: string): ConfigFile {
    const lines = new LineCounter()
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
    const [error] = document.errors
    if (error !== undefined) throw new ConfigError([`${name}:${lines.linePos(error.pos[0]).line}: not valid YAML: ${error.message}`])
    return new ConfigFile(name, document, lines)
  }

  /** The content that fits the schema; else throws a ConfigError with a line for each problem. */
  validate<T>(schema: v.GenericSchema<unknown, T>): T {
    const content: unknown = this.#document.toJS()
    const result = v.safeParse(schema, content ?? {})
    if (result.success) return result.output
    throw new ConfigError(result.issues.map(issue => this.#sentence(issue, schema)))
  }

  /** `file:line: ` of a path, or of the nearest thing above it that is there. */
  at(path: readonly (string | number)[]): string {
    for (let length = path.length; length > 0; length--) {
      const offset = this.#offset(path.slice(0, length))
      if (offset !== undefined) return `${this.name}:${this.#lines.linePos(offset).line}: `
    }
    return `${this.name}: `
  }

  #sentence(issue: v.BaseIssue<unknown>, schema: v.GenericSchema): string {
    const path = (issue.path ?? []).map(item => item.key as string | number)
    const where = this.at(path)
    const name = nameOf(path)
    if (issue.type === 'strict_object' && issue.expected === 'never') return `${where}unknown key ${name}${suggestion(path, schema)}`
    if (issue.input === undefined) return `${where}${name} is missing`
    if (issue.input === null) return `${where}${name} has no value; give it one or remove the line`
    if (issue.type === 'strict_object') return `${where}${name} is ${shown(issue.input)}; it takes keys of its own`
    if (issue.type === 'array') return `${where}${name} is ${shown(issue.input)}; it takes a list`
    return `${where}${name}: ${issue.message}`
  }

  /** Where the key (in a map) or the item (in a list) begins. */
  #offset(path: readonly (string | number)[]): number | undefined {
    const parent = path.length === 1 ? this.#document.contents : this.#document.getIn(path.slice(0, -1), true)
    const last = path.at(-1)
    if (isMap(parent)) {
      const key = parent.items.find(pair => isScalar(pair.key) && pair.key.value === last)?.key
      return isScalar(key) ? key.range?.[0] : undefined
    }
    const item = isSeq(parent) && typeof last === 'number' ? parent.items[last] : undefined
    return isNode(item) ? item.range?.[0] : undefined
  }
}

/** `nodes[1].listen.client` for a path; `the file` for the whole. */
export function nameOf(path: readonly (string | number)[]): string {
  if (path.length === 0) return 'the file'
  return path.reduce<string>((name, part) => (typeof part === 'number' ? `${name}[${part}]` : name === '' ? part : `${name}.${part}`), '')
}

/** `; did you mean …?` after an unknown key: a sibling first, then a key of the same name elsewhere, else what is known there. */
function suggestion(path: readonly (string | number)[], schema: v.GenericSchema): string {
  const parent = path.slice(0, -1)
  const word = String(path.at(-1))
  const siblings = keysUnder(schema, parent)
  const near = nearest(word, siblings)
  if (near !== undefined) return `; did you mean ${nameOf([...parent, near])}?`
  const elsewhere = allKeys(schema, [])
  const found = elsewhere.find(key => key.at(-1) === word) ?? elsewhere.find(key => nearest(word, [key.at(-1) ?? '']) !== undefined)
  return found === undefined ? `; known here: ${siblings.join(', ')}` : `; did you mean ${found.join('.')}?`
}

type Entries = Readonly<Record<string, v.GenericSchema>>

function entriesOf(schema: v.GenericSchema): Entries | undefined {
  if ('entries' in schema) return schema.entries as Entries
  if ('wrapped' in schema) return entriesOf(schema.wrapped as v.GenericSchema)
  return undefined
}

function itemOf(schema: v.GenericSchema): v.GenericSchema | undefined {
  if ('item' in schema) return schema.item as v.GenericSchema
  if ('pipe' in schema) return itemOf((schema.pipe as readonly v.GenericSchema[])[0] ?? v.never())
  return undefined
}

function keysUnder(schema: v.GenericSchema, path: readonly (string | number)[]): string[] {
  let current: v.GenericSchema | undefined = schema
  for (const part of path) {
    if (current === undefined) return []
    current = typeof part === 'number' ? itemOf(current) : entriesOf(current)?.[part]
  }
  return Object.keys((current === undefined ? undefined : entriesOf(current)) ?? {})
}

function allKeys(schema: v.GenericSchema, prefix: readonly string[]): (readonly string[])[] {
  return Object.entries(entriesOf(schema) ?? {}).flatMap(([key, inner]) => [[...prefix, key], ...allKeys(inner, [...prefix, key])])
}
