"""Download the certificate of an instance, to register it at the provider."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.http import content_disposition_header
from django.utils.text import slugify

from instances.models import Instance
from instances.pages.frames import Frame
from instances.provisioning.actions import Action, has_certificate
from instances.provisioning.certificates import certificate_file


def certificate_page(
    request: HttpRequest, instance: Instance, action: Action, *, frame: Frame
) -> HttpResponse:
    """Send the certificate, without its private key, as a file."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    certificate = certificate_file(instance) if has_certificate(instance) else ""
    if not certificate:
        raise Http404
    name = f"{slugify(instance.name) or instance.pk}-certificate.pem"
    response = HttpResponse(certificate, content_type="application/x-pem-file")
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    return response
