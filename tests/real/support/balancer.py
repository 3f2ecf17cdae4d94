"""A cloud's load balancer as the Rollouts controller sees it: its API says which weights it has.

Of all traffic routers the controller has built in only this one is asked whether
a weight has arrived. Here the balancer has what its Ingress asks for, as far as
the Ingress says that there is a balancer. Form of the answers:
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/
"""

import json
import urllib.parse
from xml.sax.saxutils import escape

from support import loopback

XMLNS = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"
ARN = "arn:aws:elasticloadbalancing:test-1:000000000000"
# Where the Ingress asks for weights, and what its own controller writes on each group of pods.
ACTIONS = "alb.ingress.kubernetes.io/actions."
RESOURCE = "ingress.k8s.aws/resource"


class Balancer(loopback.Loopback):
    """Answers for every Ingress that has an address; its name here is that address."""

    def __init__(self, api):
        self.api = api
        balancer = self

        class Handler(loopback.Handler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # noqa: N802  the name is the library's
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                action = form["Action"][0]
                told = getattr(balancer, action)(form)
                result = f"<{action}Result>{xml(told)}</{action}Result>"
                self.reply("text/xml", f'<{action}Response xmlns="{XMLNS}">{result}</{action}Response>')

        self.serve(Handler)

    def env(self):
        """The environment of a controller that asks here and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "test-1",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    # The names below are those of the API.

    def DescribeLoadBalancers(self, _):  # noqa: N802
        """Every Ingress with an address."""
        told = [{"LoadBalancerArn": f"{ARN}:loadbalancer/app/{name}/1", "LoadBalancerName": name, "DNSName": name} for name in self.ingresses()]
        return {"LoadBalancers": told}

    def DescribeTargetGroups(self, form):  # noqa: N802
        """One group for each service of its action."""
        name = named(form["LoadBalancerArn"][0])
        return {"TargetGroups": [{"TargetGroupArn": arn, "TargetGroupName": arn.split("/")[2]} for arn in self.groups(name)]}

    def DescribeTags(self, form):  # noqa: N802
        """Which service a group is for."""
        asked = [values[0] for key, values in form.items() if key.startswith("ResourceArns.")]
        told = [{"ResourceArn": arn, "Tags": [{"Key": RESOURCE, "Value": self.groups(named(arn))[arn][1]}]} for arn in asked]
        return {"TagDescriptions": told}

    def DescribeListeners(self, form):  # noqa: N802
        """One."""
        return {"Listeners": [{"ListenerArn": f"{ARN}:listener/app/{named(form['LoadBalancerArn'][0])}/1/1"}]}

    def DescribeRules(self, form):  # noqa: N802
        """One, with the weights."""
        groups = self.groups(named(form["ListenerArn"][0]))
        told = [{"TargetGroupArn": arn, "Weight": weight} for arn, (weight, _) in groups.items()]
        return {"Rules": [{"Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": told}}]}]}

    def ingresses(self):
        """`{address: Ingress}`."""
        items = self.api.request("GET", "/apis/networking.k8s.io/v1/ingresses").data["items"]
        addresses = [(one["hostname"], item) for item in items for one in item["status"].get("loadBalancer", {}).get("ingress", [])]
        return dict(addresses)

    def groups(self, name):
        """`{ARN of a group: (weight, tag)}` of a balancer."""
        meta = self.ingresses()[name]["metadata"]
        actions = [json.loads(text) for key, text in meta["annotations"].items() if key.startswith(ACTIONS)]
        told = {}
        for group in (group for action in actions for group in action["ForwardConfig"]["TargetGroups"]):
            arn = f"{ARN}:targetgroup/{name}/{group['ServiceName']}"
            told[arn] = (group["Weight"], f"{meta['namespace']}/{meta['name']}-{group['ServiceName']}:{group['ServicePort']}")
        return told


def named(arn):
    """The balancer an ARN belongs to."""
    parts = arn.split("/")
    return parts[1] if ":targetgroup/" in arn else parts[2]


def xml(value):
    """Data in the form of this API."""
    if isinstance(value, dict):
        return "".join(f"<{key}>{xml(inner)}</{key}>" for key, inner in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{xml(inner)}</member>" for inner in value)
    return escape(str(value))
