// A release of Ratchet as a construct of the AWS CDK: it uploads the zips and the template of an
// unpacked release (docs/release.md), and creates a nested stack from them.

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CfnStack } from "aws-cdk-lib";
import { Asset } from "aws-cdk-lib/aws-s3-assets";
import { Construct } from "constructs";

export interface RatchetProps {
  /** Folder of the unpacked release. */
  release: string;
  /** Parameters of the template, as docs/configuration.md lists them. */
  parameters?: Record<string, string>;
}

export class Ratchet extends Construct {
  readonly stack: CfnStack;

  constructor(scope: Construct, id: string, props: RatchetProps) {
    super(scope, id);
    const parameters = { ...props.parameters };
    const uploaded = (zip: string) => {
      const asset = new Asset(this, zip, { path: join(props.release, zip) });
      parameters.CodeBucket = asset.s3BucketName;
      return `CodeUri: { Bucket: !Ref CodeBucket, Key: ${asset.s3ObjectKey} }`;
    };
    const template = readFileSync(join(props.release, "template.yaml"), "utf8")
      .replace(/^Parameters:$/m, "Parameters:\n  CodeBucket: { Type: String }")
      .replace(/CodeUri: (\S+\.zip)/g, (_, zip: string) => uploaded(zip));
    const path = join(mkdtempSync(join(tmpdir(), "ratchet-")), "template.yaml");
    writeFileSync(path, template);
    this.stack = new CfnStack(this, "Stack", {
      templateUrl: new Asset(this, "Template", { path }).httpUrl,
      parameters,
      tags: [{ key: "application", value: "ratchet" }],
    });
  }

  /** An output of the template, for example `ApiUrl`. */
  output(name: string): string {
    return this.stack.getAtt(`Outputs.${name}`).toString();
  }
}
