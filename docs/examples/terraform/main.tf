# A release of Ratchet as a Terraform module: it uploads the zips and the template of an unpacked
# release (docs/release.md), and creates a CloudFormation stack from them.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

variable "release" {
  type        = string
  description = "Folder of the unpacked release."
}

variable "bucket" {
  type        = string
  description = "S3 bucket of the same region that takes the zips and the template."
}

variable "name" {
  type        = string
  default     = "ratchet"
  description = "Name of the stack."
}

variable "parameters" {
  type        = map(string)
  default     = {}
  description = "Parameters of the template, as docs/configuration.md lists them."
}

resource "aws_s3_object" "zip" {
  for_each = fileset(var.release, "*.zip")

  bucket = var.bucket
  key    = "${var.name}/${filesha256("${var.release}/${each.key}")}/${each.key}"
  source = "${var.release}/${each.key}"

  # A stack that rolls back needs its previous zips.
  lifecycle { create_before_destroy = true }
}

data "aws_s3_bucket" "bucket" {
  bucket = var.bucket
}

locals {
  # For example s3.eu-west-1.amazonaws.com.
  s3 = trimprefix(data.aws_s3_bucket.bucket.bucket_regional_domain_name, "${var.bucket}.")
  # Each piece but the first begins with the name of a zip, which is replaced with the zip's key in the bucket.
  pieces = split("CodeUri: ", file("${var.release}/template.yaml"))
  template = join("CodeUri: s3://${var.bucket}/", concat([local.pieces[0]], [
    for piece in slice(local.pieces, 1, length(local.pieces)) :
    replace(piece, regex("^\\S+", piece), aws_s3_object.zip[regex("^\\S+", piece)].key)
  ]))
}

# CloudFormation takes a template of this size from S3 only.
resource "aws_s3_object" "template" {
  bucket  = var.bucket
  key     = "${var.name}/${sha256(local.template)}/template.yaml"
  content = local.template

  lifecycle { create_before_destroy = true }
}

resource "aws_cloudformation_stack" "ratchet" {
  name         = var.name
  template_url = "https://${local.s3}/${var.bucket}/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
  parameters   = var.parameters
  tags         = { application = "ratchet" }
}

output "outputs" {
  value       = aws_cloudformation_stack.ratchet.outputs
  description = "Outputs of the template: ApiUrl, UsersTableName, and others."
}
