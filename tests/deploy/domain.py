"""docs/domain.md: the three steps to another domain and issuer, none of which refuses a valid token."""

import pytest

from updates import RS256

DOMAIN = "auth.example.com"
NEW = f"https://{DOMAIN}"


@pytest.fixture(scope="module")
def url(cloud):
    return f"https://{cloud.resources('ratchet-prod')['HttpApi']}.execute-api.us-east-1.amazonaws.com"


@pytest.fixture(scope="module")
def domain(cloud):
    """The parameters that the name itself needs."""
    certificate = cloud.client("acm").request_certificate(DomainName=DOMAIN)["CertificateArn"]
    zone = cloud.client("route53").create_hosted_zone(Name="example.com", CallerReference="deployment test")
    return {
        "DomainName": DOMAIN,
        "CertificateArn": certificate,
        "HostedZoneId": zone["HostedZone"]["Id"].removeprefix("/hostedzone/"),
    }


def deploy(cloud, **parameters):
    [stack] = cloud.cloudformation.describe_stacks(StackName="ratchet-prod")["Stacks"]
    given = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    # The tables of restore.py.
    tables = {name: value for name, value in given.items() if name.startswith("Existing") and value}
    cloud.deploy("prod", **RS256, LogLevel="warn", **tables, **parameters)
    cloud.front.domains[DOMAIN] = cloud.resources("ratchet-prod")["HttpApi"]


def accepted(cloud, token, *urls):
    return [cloud.request(f"{url}/users", token=token)[0] for url in urls]


def test_a_domain_and_its_issuer_are_added_without_refusing_a_token(cloud, url, domain):
    before = cloud.sign_in(url, "ada")

    # 1. Everybody accepts both.
    deploy(cloud, **domain, Issuer=url, FormerIssuers=NEW)
    during = cloud.sign_in(NEW, "ada")
    assert cloud.claims(during["access_token"])["iss"] == url
    for pair in (before, during):
        assert accepted(cloud, pair["access_token"], url, NEW) == [200, 200]

    # 2. The new one signs.
    deploy(cloud, **domain, Issuer=NEW, FormerIssuers=url)
    assert cloud.outputs("ratchet-prod")["ApiUrl"] == NEW
    after = cloud.sign_in(NEW, "ada")
    assert cloud.claims(after["access_token"])["iss"] == NEW
    for pair in (before, during, after):
        assert accepted(cloud, pair["access_token"], url, NEW) == [200, 200]
    # A client that comes back brings its access token of the old issuer along.
    body = {name: before[name] for name in ("access_token", "refresh_token")}
    status, _, renewed = cloud.request(f"{NEW}/refresh", body)
    assert status == 200, renewed
    assert cloud.claims(renewed["access_token"])["iss"] == NEW

    # 3. The old one ends.
    deploy(cloud, **domain, Issuer=NEW, FormerIssuers=NEW, ExecuteApiEndpoint="disabled")
    api = cloud.client("apigatewayv2").get_api(ApiId=cloud.resources("ratchet-prod")["HttpApi"])
    # The emulator keeps answering there.
    assert api["DisableExecuteApiEndpoint"]
    assert accepted(cloud, after["access_token"], NEW) == [200]
    assert accepted(cloud, before["access_token"], NEW) == [401]


def test_the_name_has_records_for_both_protocols(cloud, domain):
    records = cloud.client("route53").list_resource_record_sets(HostedZoneId=domain["HostedZoneId"])
    targets = {
        record["Type"]: record["AliasTarget"]["DNSName"].rstrip(".")
        for record in records["ResourceRecordSets"]
        if record["Name"] == f"{DOMAIN}."
    }
    assert set(targets) == {"A", "AAAA"}
    assert set(targets.values()) == {cloud.outputs("ratchet-prod")["DomainTarget"]}


def test_a_disabled_endpoint_needs_a_domain(cloud):
    printed = cloud.deploy("dev", fails=True, ExecuteApiEndpoint="disabled")
    assert "execute-api endpoint only" in printed, printed
