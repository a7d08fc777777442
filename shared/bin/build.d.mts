export declare const packages: readonly string[];
export declare const fingerprintFile: string;
export declare function fingerprintOf(root: string): string;
export declare function moduleOf(bin: string, name: string, module: string): { url: URL; compiled: boolean };
