export declare const floors: readonly string[]
