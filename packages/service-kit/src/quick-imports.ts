import { enableCompileCache, registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

/*
 * Imported for its effect: what is imported after it loads in half the time. Two things do that:
 *
 * - Node 24 reads a package's whole package.json again for each of its modules, and that of drizzle-orm has 180 KB of `exports`: four fifths
 *   of the time that drizzle-orm takes to load; typebox has 683 modules. Theirs name each other by relative paths, which need no look into it.
 * - What V8 compiled is kept for the next start, where the folder can be written to; else nothing is kept.
 *
 * A module's static imports are loaded before any of it runs, so those after this one must be dynamic.
 */
enableCompileCache(fileURLToPath(new URL('../../../node_modules/.cache/compiled', import.meta.url)))
const ofEsModules = /\/node_modules\/(?:drizzle-orm|typebox)\/.*\.m?js$/
const relativeFile = /^\.\.?\/.*\.m?js$/
registerHooks({
  resolve(specifier, context, next) {
    const { parentURL } = context
    if (parentURL !== undefined && ofEsModules.test(parentURL) && relativeFile.test(specifier))
      return { url: new URL(specifier, parentURL).href, format: 'module', shortCircuit: true }
    return next(specifier, context)
  },
})
