"""Your own endpoints: none."""

from fastapi import APIRouter

router = APIRouter()
