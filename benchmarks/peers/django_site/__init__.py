"""A Django project with django-scim2 and nothing else, as small as its documentation allows."""
