/** Creation or request options as JSON. */
export interface OptionsJson {
    readonly challenge: string;
    readonly user?: {
        readonly id: string;
    };
    readonly excludeCredentials?: readonly {
        readonly id: string;
    }[];
    readonly allowCredentials?: readonly {
        readonly id: string;
    }[];
}
/** Reads options for `credentials.create` or `credentials.get`. */
export declare function optionsOf<T extends 'parseCreationOptionsFromJSON' | 'parseRequestOptionsFromJSON'>(parse: T, options: OptionsJson): ReturnType<(typeof PublicKeyCredential)[T]>;
/** What the service verifies of a credential. */
export declare function jsonOf(made: Credential | null): object;
